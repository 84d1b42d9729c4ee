// QuantizationArgs and QuantizationScheme of compressed-tensors 0.20 and 0.9.2
// (quantization/quant_args.py, quant_scheme.py): how the weights and activations of the modules
// that a group targets are quantized.
#pragma once

#include <precis/options.hpp>

#include <optional>

namespace precis::compressed_tensors {

enum class Strategy { tensor, channel, group, block, token, tensor_group, attention_head };
enum class Dynamic { no, yes, local };

struct QuantizationArgs {
  int64_t bits = 8;
  bool floating = false;  // type "float"
  bool symmetric = true;
  Strategy strategy = Strategy::tensor;
  int64_t group_size = 0;                     // of group and tensor_group
  int64_t block_rows = 0, block_columns = 0;  // of block
  Dynamic dynamic = Dynamic::no;
  bool reordered_groups = false;  // actorder "group": weight_g_idx tells the group of each column
  std::string scale_dtype;        // torch's name without "torch.", empty: the weight's
};

struct QuantizationScheme {
  std::vector<std::string> targets;
  std::optional<QuantizationArgs> weights, input_activations, output_activations;
  std::string format;  // empty: that of the config, or by the arguments
};

// Whose rules a config is read by.
struct Rules {
  bool of_2025 = false;  // compressed-tensors 0.9.2, of transformers 4.48
  bool exactly = false;  // also refuse what the library has dropped since
};

// Reads `value`, found at `path` of the config, and writes what the library saves to `normalized`.
// All throw PluginError with the status of the library's exception: PRECIS_INVALID_ARGUMENT for a
// validation error.
QuantizationArgs read_args(const std::string& path, const sdk::Json& value, const Rules& rules,
                           sdk::Json& normalized);
// An object, or a list of targets where `name` is a preset.
QuantizationScheme read_scheme(const std::string& name, const sdk::Json& value, const Rules& rules,
                               sdk::Json& normalized);
std::vector<std::string> read_texts(const std::string& path, const sdk::Json& value);

// The scheme of a preset without its targets; null: there is no preset of this name.
sdk::Json preset_scheme(std::string name, const Rules& rules);

}  // namespace precis::compressed_tensors
