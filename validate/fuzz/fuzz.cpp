#include "validate/fuzz/fuzz.h"

#include <limits>
#include <random>

#include "core/abi/call.h"
#include "validate/runner/child.h"
#include "validate/subject/stored.h"

namespace precis::validate {
namespace {

using nlohmann::json;

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}
  uint64_t below(uint64_t limit) { return limit == 0 ? 0 : random_() % limit; }
  bool one_in(uint64_t count) { return below(count) == 0; }
  template <typename Range>
  const auto& of(const Range& range) {
    return *(std::begin(range) + static_cast<std::ptrdiff_t>(below(std::size(range))));
  }

 private:
  std::mt19937_64 random_;
};

json any_value(Dice& dice) {
  static const std::vector<json> kValues{nullptr,
                                         true,
                                         false,
                                         0,
                                         1,
                                         -1,
                                         3,
                                         4,
                                         8,
                                         16,
                                         127,
                                         128,
                                         1 << 30,
                                         -(1LL << 62),
                                         0.0,
                                         -0.5,
                                         1e300,
                                         "",
                                         "int4",
                                         "float32",
                                         "torch.bfloat16",
                                         "nf4",
                                         "auto",
                                         "\xe2\x82\xac",
                                         json::array(),
                                         json::array({1, "a", nullptr}),
                                         json::array({32, 32}),
                                         json::array({0, -1}),
                                         json::object(),
                                         json{{"a", json{{"b", 1}}}}};
  return dice.of(kValues);
}

void change_values(json& config, Dice& dice) {
  if (!config.is_object()) return;
  for (auto& [key, value] : config.items()) {
    if (value.is_structured() && dice.one_in(2))
      change_values(value, dice);
    else if (dice.one_in(4))
      value = any_value(dice);
  }
  if (dice.one_in(3)) config["key" + std::to_string(dice.below(9))] = any_value(dice);
}

void change_text(std::string& text, Dice& dice) {
  for (uint64_t i = 1 + dice.below(4); i > 0; --i) {
    const std::size_t at = dice.below(text.size() + 1);
    const auto byte = static_cast<char>(dice.below(256));
    if (dice.one_in(3))
      text.resize(at);
    else if (dice.one_in(2))
      text.insert(at, 1, byte);
    else if (at < text.size())
      text[at] = byte;
  }
}

// The preset's config, or that with every option of the schema, changed.
std::string any_config(const Subject& subject, const Preset& preset, Dice& dice) {
  json config = preset.config;
  std::string schema;
  const precis_sink sink = string_sink(schema);
  const RecordedCall call;
  if (subject.factory().write_schema(call.abi(), preset.method, {}, &sink) == PRECIS_OK) {
    const json properties = json::parse(schema, nullptr, false).value("properties", json::object());
    for (const auto& [key, property] : properties.items()) {
      if (dice.one_in(4))
        config[key] = dice.one_in(2) ? property.value("default", json()) : any_value(dice);
      if (dice.one_in(8) && property.contains("enum") && !property["enum"].empty())
        config[key] = dice.of(property["enum"]);
    }
  }
  change_values(config, dice);
  std::string text = config.dump();
  if (dice.one_in(4)) change_text(text, dice);
  return text;
}

Param any_param(Dice& dice) {
  static constexpr DType kDTypes[] = {DType::f32, DType::f16, DType::bf16};
  static constexpr int64_t kSizes[] = {0, 1, 2, 3, 7, 8, 16, 31, 32, 33, 64, 128, 256, 384, 512};
  std::vector<int64_t> shape;
  for (uint64_t i = dice.one_in(5) ? dice.below(4) : 2; i > 0; --i)
    shape.push_back(dice.of(kSizes));
  if (shape.size() > 2) shape.resize(3), shape[2] = 4;
  return linear_param(dice.of(kDTypes), std::move(shape));
}

std::vector<float> any_numbers(std::size_t count, Dice& dice) {
  std::vector<float> values =
      normal_numbers(count, static_cast<uint32_t>(dice.below(1 << 30)), dice.one_in(4) ? 1e4F : 1);
  static constexpr float kSpecial[] = {0, std::numeric_limits<float>::infinity(),
                                       std::numeric_limits<float>::quiet_NaN(), 3e38F, 1e-45F};
  if (!values.empty() && dice.one_in(3)) {
    for (uint64_t i = 1 + dice.below(8); i > 0; --i)
      values[dice.below(values.size())] = dice.of(kSpecial);
  }
  return values;
}

// Encodes and decodes `weight` within guards.
Verdict use(const Instance& instance, const Weight& weight, Dice& dice) {
  uint64_t bytes = weight.plan.workspace_bytes;
  for (const PartSpec& part : weight.plan.parts) bytes += part.nbytes;
  if (bytes > (256 << 20)) return violation("{} bytes are planned for {}", bytes, weight.text());
  EncodeOptions options;
  options.guard = dice.one_in(2) ? Guard::behind : Guard::before;
  options.row_gap = dice.one_in(3) ? static_cast<int64_t>(dice.below(9)) : 0;
  options.misaligned = dice.one_in(3);
  RecordedCall call;
  options.call = &call;
  const Encoded encoded = encode(instance, weight, options);
  PRECIS_TRY(call.check_report(encoded.status));
  if (!encoded.intact)
    return violation("quantize of {} writes outside of its memory", weight.text());
  if (!encoded.outcome.ok()) return {};
  DecodeOptions decoding;
  decoding.guard = decoding.parts_guard = options.guard;
  const auto rows = static_cast<uint64_t>(weight.param.rows());
  decoding.row_begin = static_cast<int64_t>(dice.below(rows + 1));
  decoding.rows =
      static_cast<int64_t>(dice.below(rows - static_cast<uint64_t>(decoding.row_begin) + 1));
  const Decoded decoded = decode(instance, weight, encoded.parts, decoding);
  if (!decoded.intact)
    return violation("dequantize of {} writes outside of its rows", weight.text());
  return {};
}

Verdict fuzz_config(Subject& subject, const Preset& preset, Dice& dice) {
  const std::string text = any_config(subject, preset, dice);
  doing(fmt::format("preset {}, config {}", preset.name, text));
  static constexpr uint32_t kFlags[] = {0, PRECIS_CONFIG_LENIENT, PRECIS_CONFIG_PRE_QUANTIZED,
                                        PRECIS_CONFIG_PYTHON | PRECIS_CONFIG_LENIENT};
  const precis_config config = config_request(text, dice.of(kFlags));
  std::string out;
  const precis_sink sink = string_sink(out);
  const RecordedCall normalizing;
  const precis_status status =
      subject.factory().normalize(normalizing.abi(), preset.method, &config, &sink);
  PRECIS_TRY(normalizing.check_report(status));
  if (status == PRECIS_OK && !json::parse(out, nullptr, false).is_object())
    return violation("normalize takes {} and writes no object", text);
  auto instance = Instance::make(subject, preset.method, text, config.flags);
  if (!instance.ok()) return {};
  const auto weight =
      planned_weight(*instance, linear_param(DType::f32, {32, 256}), normal_numbers(32 * 256, 2));
  return weight.ok() ? use(*instance, *weight, dice) : Verdict();
}

Verdict fuzz_shape(Subject& subject, const Preset& preset, Dice& dice) {
  PRECIS_ASSIGN(const Instance instance, Instance::make(subject, preset));
  Param param = any_param(dice);
  const auto count = static_cast<std::size_t>(param.elements());
  doing(fmt::format("preset {}, {} [{}]", preset.name, dtype_name(param.dtype),
                    fmt::join(param.shape, ", ")));
  const auto weight = planned_weight(instance, param, any_numbers(count, dice));
  return weight.ok() ? use(instance, *weight, dice) : Verdict();
}

void damage(StoredCheckpoint& checkpoint, Dice& dice) {
  const std::size_t i = dice.below(checkpoint.tensors.size());
  PartSpec& tensor = checkpoint.tensors[i];
  auto& bytes = checkpoint.bytes[i];
  if (dice.one_in(5)) tensor.name += "x";
  if (dice.one_in(4)) tensor.dtype = static_cast<DType>(dice.below(12));
  if (dice.one_in(3) && !tensor.shape.empty()) {
    static constexpr int64_t kSizes[] = {0, 1, 2, 3, 5, 16, 33, 100};
    tensor.shape[dice.below(tensor.shape.size())] = dice.of(kSizes);
  }
  if (dice.one_in(5)) tensor.shape.resize(dice.below(4), 1);
  uint64_t count = 1;
  for (const int64_t size : tensor.shape) count *= static_cast<uint64_t>(size);
  // A reader of checkpoints has compared shapes with sizes.
  if (tensor.encoding.empty() || dice.one_in(2)) {
    tensor.nbytes = dtype_bytes(tensor.dtype, count).value_or(0);
    bytes.resize(tensor.nbytes);
  }
  for (uint64_t j = dice.below(bytes.size() + 1) / (1 + dice.below(64)); j > 0; --j)
    bytes[dice.below(bytes.size())] = static_cast<std::byte>(dice.below(256));
}

Verdict fuzz_checkpoint(Subject& subject, const Preset& preset, Dice& dice) {
  PRECIS_ASSIGN(const Instance instance, Instance::make(subject, preset));
  const auto weight = fitting_weight(instance);
  if (!weight || instance.loading() == nullptr) return {};
  PRECIS_ASSIGN(auto parts, encoded_parts(instance, *weight));
  StoredCheckpoint checkpoint(*weight, std::move(parts));
  for (uint64_t i = 1 + dice.below(3); i > 0; --i) damage(checkpoint, dice);
  std::string tensors;
  for (const PartSpec& tensor : checkpoint.tensors)
    tensors += fmt::format(", {} {} [{}]", tensor.name, dtype_name(tensor.dtype),
                           fmt::join(tensor.shape, ", "));
  doing(fmt::format("preset {}, a checkpoint of{}", preset.name, tensors.substr(1)));
  checkpoint.decode_findings(instance);
  return {};
}

}  // namespace

Verdict fuzz_once(Subject& subject, uint64_t seed) {
  Dice dice(seed);
  const std::vector<Preset> presets = subject.presets();
  if (presets.empty()) return Verdict::skip("the manifest has no preset");
  const Preset& preset = dice.of(presets);
  static constexpr Verdict (*kKinds[])(Subject&, const Preset&, Dice&) = {fuzz_config, fuzz_shape,
                                                                          fuzz_checkpoint};
  return dice.of(kKinds)(subject, preset, dice);
}

Verdict fuzz(Subject& subject, uint64_t seed, std::chrono::seconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  for (; std::chrono::steady_clock::now() < end; ++seed) {
    note_seed(seed);
    Verdict verdict = fuzz_once(subject, seed);
    if (verdict.kind() != Verdict::Kind::passed) return verdict;
  }
  return {};
}

}  // namespace precis::validate
