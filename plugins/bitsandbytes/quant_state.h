// The JSON object that bitsandbytes stores beside a 4-bit weight, as a tensor of bytes
// "weight.quant_state.bitsandbytes__nf4" (bitsandbytes 0.50, functional.py QuantState).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace precis::bitsandbytes {

struct QuantState {
  std::string quant_type;
  uint64_t blocksize = 64;
  std::string dtype;
  std::vector<int64_t> shape;
  bool nested = false;
  uint64_t nested_blocksize = 256;
  float nested_offset = 0;
};

// As Python's json.dumps writes it; with nested statistics padded with blanks to nested_size(),
// since the length of the offset is not known before the data is.
std::string quant_state_json(const QuantState& state);
uint64_t quant_state_size(const QuantState& state);

// Throws PluginError PRECIS_DATA_LOSS for what is no such object.
QuantState parse_quant_state(std::string_view text);

}  // namespace precis::bitsandbytes
