#include "plugins/bitsandbytes/quant_state.h"

#include <charconv>
#include <limits>
#include <precis/options.hpp>

namespace precis::bitsandbytes {
namespace {

// Python's repr of a float: shortest digits, an exponent below 1e-4 and from 1e16 on.
std::string python_repr(double value) {
  char buffer[64];
  const double magnitude = value < 0 ? -value : value;
  const bool scientific = magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16);
  const auto result =
      std::to_chars(buffer, buffer + sizeof buffer, value,
                    scientific ? std::chars_format::scientific : std::chars_format::fixed);
  std::string text(buffer, result.ptr);
  if (!scientific && text.find('.') == std::string::npos && text.find('n') == std::string::npos)
    text += ".0";
  if (text == "nan") return "NaN";
  if (text == "inf") return "Infinity";
  return text == "-inf" ? "-Infinity" : text;
}

// Longest repr of a float32 widened to double: sign, 17 digits, point, exponent.
constexpr std::size_t kLongestOffset = 24;

std::string json_text(const QuantState& state, const std::string& offset) {
  std::string text = "{\"quant_type\": \"" + state.quant_type +
                     "\", \"blocksize\": " + std::to_string(state.blocksize) + ", \"dtype\": \"" +
                     state.dtype + "\", \"shape\": [";
  for (std::size_t i = 0; i < state.shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(state.shape[i]);
  }
  text += "]";
  if (state.nested) {
    text += ", \"nested_blocksize\": " + std::to_string(state.nested_blocksize) +
            ", \"nested_dtype\": \"float32\", \"nested_offset\": " + offset;
  }
  return text + "}";
}

}  // namespace

uint64_t quant_state_size(const QuantState& state) {
  return json_text(state, std::string(state.nested ? kLongestOffset : 0, '0')).size();
}

std::string quant_state_json(const QuantState& state) {
  std::string text = json_text(state, python_repr(state.nested_offset));
  text.resize(quant_state_size(state), ' ');
  return text;
}

namespace {

// Python writes NaN and Infinity, which JSON has not: such an offset becomes null, and NaN again
// when read.
std::string without_python_numbers(std::string_view text) {
  std::string result(text);
  for (const char* word : {"-Infinity", "Infinity", "NaN"}) {
    for (std::size_t at = result.find(word); at != std::string::npos; at = result.find(word)) {
      result.replace(at, std::string_view(word).size(), "null");
    }
  }
  return result;
}

}  // namespace

QuantState parse_quant_state(std::string_view text) {
  using sdk::Json;
  try {
    const Json object = Json::parse(without_python_numbers(text));
    QuantState state;
    state.quant_type = object.at("quant_type").get<std::string>();
    state.blocksize = object.at("blocksize").get<uint64_t>();
    state.dtype = object.at("dtype").get<std::string>();
    if (object.at("shape").is_array()) state.shape = object.at("shape").get<std::vector<int64_t>>();
    state.nested = object.contains("nested_blocksize");
    if (state.nested) {
      state.nested_blocksize = object.at("nested_blocksize").get<uint64_t>();
      const Json& offset = object.at("nested_offset");
      state.nested_offset = offset.is_null() ? std::numeric_limits<float>::quiet_NaN()
                                             : static_cast<float>(offset.get<double>());
    }
    // Beyond this no tensor of a checkpoint can be, and products of the dimensions could wrap
    // around.
    constexpr int64_t kMostElements = int64_t{1} << 56;
    int64_t elements = 1;
    for (const int64_t size : state.shape) {
      if (size < 0 || (size > 0 && elements > kMostElements / size)) {
        throw sdk::PluginError(PRECIS_DATA_LOSS, "a quant_state has an impossible shape");
      }
      elements *= size > 0 ? size : 1;
    }
    if ((state.quant_type != "nf4" && state.quant_type != "fp4") || state.blocksize < 2 ||
        state.blocksize % 2 != 0 || state.blocksize > (1u << 20) || state.nested_blocksize == 0) {
      throw sdk::PluginError(PRECIS_DATA_LOSS,
                             "a quant_state has values that bitsandbytes does not write");
    }
    return state;
  } catch (const Json::exception& error) {
    throw sdk::PluginError(PRECIS_DATA_LOSS,
                           std::string("a quant_state is damaged: ") + error.what());
  }
}

}  // namespace precis::bitsandbytes
