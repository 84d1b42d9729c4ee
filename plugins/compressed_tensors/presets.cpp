// The preset schemes of compressed-tensors (quantization/quant_scheme.py).
#include "plugins/compressed_tensors/lax_values.h"
#include "plugins/compressed_tensors/scheme.h"

namespace precis::compressed_tensors {

using sdk::Json;

namespace {

Json numbers(const char* type, int bits, const char* strategy) {
  return {{"num_bits", bits}, {"type", type}, {"strategy", strategy}};
}

Json tokens(const char* type, int bits) {
  Json args = numbers(type, bits, "token");
  args["dynamic"] = true;
  return args;
}

Json groups(const char* type, int bits, int size, const char* strategy = "group") {
  Json args = numbers(type, bits, strategy);
  args["group_size"] = size;
  return args;
}

// Groups of 32 with a power of two each.
Json microscaling(int bits, bool dynamic) {
  Json args = groups("float", bits, 32);
  args["scale_dtype"] = "torch.uint8";
  args["dynamic"] = dynamic;
  return args;
}

Json two_levels() {
  Json args = groups("float", 4, 16, "tensor_group");
  args["scale_dtype"] = "torch.float8_e4m3fn";
  return args;
}

Json scheme(Json weights, Json inputs = nullptr) {
  return {{"weights", std::move(weights)}, {"input_activations", std::move(inputs)}};
}

// "W4A16": integers of 2 to 8 bits in groups of 128, activations of 4 or 8 bits or as they are.
Json integer_scheme(const std::string& name) {
  if (name.size() < 4 || name[0] != 'W' || name[2] != 'A') return nullptr;
  const int weight = name[1] - '0';
  const std::string activation = name.substr(3);
  if (weight < 2 || weight > 8) return nullptr;
  if (activation == "16") return scheme(groups("int", weight, 128));
  if (activation == "8" && weight < 8) return scheme(groups("int", weight, 128), tokens("int", 8));
  if (activation == "4" && weight <= 4) return scheme(groups("int", weight, 128), tokens("int", 4));
  return nullptr;
}

Json static_tensor() {
  Json args = numbers("float", 8, "tensor");
  args["observer"] = "static_minmax";
  return args;
}

Json local_groups() {
  Json args = two_levels();
  args["dynamic"] = "local";
  args["observer"] = "static_minmax";
  return args;
}

Json blocks() {
  Json args = numbers("float", 8, "block");
  args["block_structure"] = {128, 128};
  return args;
}

Json dynamic_groups(int size) {
  Json args = groups("float", 8, size);
  args["dynamic"] = true;
  return args;
}

Json asymmetric(Json args) {
  args["symmetric"] = false;
  return args;
}

Json preset_of_2025(const std::string& name) {
  const Json floats = numbers("float", 8, "tensor"), bytes = numbers("int", 8, "channel");
  if (name == "W8A16") return scheme(bytes);
  if (name == "W4A16") return scheme(groups("int", 4, 128));
  if (name == "W8A8" || name == "INT8") return scheme(bytes, tokens("int", 8));
  if (name == "W4A8") return scheme(groups("int", 4, 128), tokens("int", 8));
  if (name == "FP8") return scheme(floats, floats);
  if (name == "FP8_DYNAMIC") return scheme(numbers("float", 8, "channel"), tokens("float", 8));
  return nullptr;
}

}  // namespace

Json preset_scheme(std::string name, const Rules& rules) {
  for (char& c : name) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  if (name == "UNQUANTIZED") return Json::object();
  if (rules.of_2025) return preset_of_2025(name);
  if (name == "W8A8" || name == "INT8")
    return scheme(numbers("int", 8, "channel"), tokens("int", 8));
  if (name == "W4A16_ASYM") return scheme(asymmetric(groups("int", 4, 128)));
  if (name == "W4AFP8") return scheme(groups("int", 4, 128), tokens("float", 8));
  if (name == "FP8") return scheme(numbers("float", 8, "tensor"), static_tensor());
  if (name == "FP8_DYNAMIC") return scheme(numbers("float", 8, "channel"), tokens("float", 8));
  if (name == "FP8_BLOCK") return scheme(blocks(), dynamic_groups(128));
  if (name == "NVFP4A16") return scheme(two_levels());
  if (name == "NVFP4") return scheme(two_levels(), local_groups());
  if (name == "MXFP4A16") return scheme(microscaling(4, false));
  if (name == "MXFP4") return scheme(microscaling(4, false), microscaling(4, true));
  if (name == "MXFP4XFP8") return scheme(microscaling(4, false), dynamic_groups(128));
  if (name == "MXFP6A16") return scheme(microscaling(6, false));
  if (name == "MXFP6A8") return scheme(microscaling(6, false), microscaling(8, true));
  if (name == "MXFP8A16") return scheme(microscaling(8, false));
  if (name == "MXFP8") return scheme(microscaling(8, false), microscaling(8, true));
  return integer_scheme(name);
}

}  // namespace precis::compressed_tensors
