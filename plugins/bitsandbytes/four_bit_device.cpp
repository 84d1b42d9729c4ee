// The blocks' maxima of double quantization and the JSON of a quant_state pass through the host,
// for which quantize, dequantize and prepare wait.
#include "kernels/cpu/bitsandbytes/codebooks.h"
#include "kernels/device/bitsandbytes.h"
#include "plugins/back_end.h"
#include "plugins/bitsandbytes/quant_state.h"
#include "plugins/bitsandbytes/quantizer.h"

namespace precis::bitsandbytes::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;
using plugins::require_bytes;
using sdk::PluginError;

uint64_t block_count(uint64_t elements, uint64_t blocksize) {
  return (elements + blocksize - 1) / blocksize;
}

QuantState read_state(const Work& work, const sdk::ConstParts& parts) {
  if (parts.size() < FourBitParts::kPlain)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the parts are not those of the plan");
  QuantState state = parse_quant_state(work.read(*parts.back()));
  if (state.nested && parts.size() < FourBitParts::kNested)
    throw PluginError(PRECIS_DATA_LOSS, "the nested statistics are missing");
  return state;
}

// absmax[blocks] of blocks first ... of a weight whose maxima are quantized themselves.
void unnest(const Work& work, const QuantState& state, const sdk::ConstParts& parts, uint64_t first,
            uint64_t blocks, uint64_t all, float* absmax) {
  if (first % state.nested_blocksize != 0)
    throw PluginError(PRECIS_UNSUPPORTED, "on a device the rows begin at a block of maxima");
  require_bytes(*parts[1], all);
  require_bytes(*parts[3], block_count(all, state.nested_blocksize) * sizeof(float));
  require_bytes(*parts[4], 256 * sizeof(float));
  require_launched(device::dequantize_absmax(
      work.data<const uint8_t>(*parts[1], "absmax") + first,
      work.data<const float>(*parts[3], "nested_absmax") + first / state.nested_blocksize,
      work.data<const float>(*parts[4], "nested_quant_map"), state.nested_offset,
      narrow(state.nested_blocksize), blocks, absmax, work.stream()));
}

device::FourBitTensor tensor_of(const QuantState& state, uint64_t rows, uint64_t columns,
                                const uint8_t* packed, const float* absmax) {
  return {code_type(state.quant_type),
          plugins::weight_type(weight_dtype(state.dtype)),
          narrow(rows),
          narrow(columns),
          narrow(state.blocksize),
          packed,
          absmax};
}

class FourBit final : public BackEnd<FourBitQuantizer> {
 protected:
  void encode(const FourBitQuantizer& quantizer, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    const Config& config = quantizer.settings();
    quantizer.require_planned(parts);
    const uint64_t n = work.matrix().elements();
    const uint64_t blocks = block_count(n, config.blocksize);
    const kernels::FourBitType type = code_type(config.quant_type);
    float* absmax =
        config.double_quant ? work.workspace<float>(blocks) : work.data<float>(*parts[1], "absmax");
    require_launched(device::quantize_4bit(
        type, work.type(), work.data<const void>(weight, "the weight"), n, narrow(config.blocksize),
        work.data<uint8_t>(*parts[0], "the packed weight"), absmax, work.stream()));
    work.write(*parts[2], kernels::four_bit_codebook(type), 16 * sizeof(float));
    QuantState state = four_bit_state(config, work.param());
    if (config.double_quant) {
      std::vector<float> maxima(blocks), nested(block_count(blocks, kernels::kNestedBlocksize));
      std::vector<uint8_t> codes(blocks);
      require_launched(
          device::read_device(maxima.data(), absmax, blocks * sizeof(float), work.stream()));
      kernels::quantize_absmax(maxima.data(), blocks, codes.data(), nested.data(),
                               &state.nested_offset);
      work.write(*parts[1], codes.data(), blocks);
      work.write(*parts[3], nested.data(), nested.size() * sizeof(float));
      work.write(*parts[4], kernels::dynamic_8bit_codebook(), 256 * sizeof(float));
    }
    const std::string json = quant_state_json(state);
    work.write(*parts.back(), json.data(), json.size());
  }

  void decode(const FourBitQuantizer&, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    const QuantState state = read_state(work, parts);
    const sdk::Matrix& matrix = work.matrix();
    const uint64_t begin = rows.begin * matrix.columns, count = rows.count() * matrix.columns;
    const uint64_t all = block_count(matrix.elements(), state.blocksize);
    if (begin % state.blocksize != 0)
      throw PluginError(PRECIS_UNSUPPORTED, "on a device the rows begin at a block");
    const uint64_t first = begin / state.blocksize, blocks = block_count(count, state.blocksize);
    require_bytes(*parts[0], (matrix.elements() + 1) / 2);
    // dequantize has no workspace.
    const device::StreamMemory unnested(state.nested ? blocks * sizeof(float) : 0, work.stream());
    require_launched(unnested.error());
    const float* absmax = static_cast<const float*>(unnested.data());
    if (state.nested) {
      unnest(work, state, parts, first, blocks, all, static_cast<float*>(unnested.data()));
    } else {
      require_bytes(*parts[1], all * sizeof(float));
      absmax = work.data<const float>(*parts[1], "absmax") + first;
    }
    // As one row: blocks run on across the rows of the weight.
    const auto* packed = work.data<const uint8_t>(*parts[0], "the packed weight") + begin / 2;
    require_launched(device::dequantize_4bit(tensor_of(state, 1, count, packed, absmax),
                                             plugins::weight_type(weight.view.dtype),
                                             work.data<void>(weight, "the weight"), work.stream()));
  }

  // float32 [blocks], where the maxima of the blocks are quantized themselves.
  void plan_product(const FourBitQuantizer& quantizer, const precis_linear_options&,
                    const precis_param& param, sdk::PlanWriter& plan) const override {
    const Config& config = quantizer.settings();
    if (!config.double_quant) return;
    const uint64_t blocks = block_count(sdk::matrix(param).elements(), config.blocksize);
    plan.add_numbers("absmax", sdk::kFloat32, {static_cast<int64_t>(blocks)});
  }

  std::unique_ptr<sdk::Linear> prepare(const FourBitQuantizer&, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts& packed) const override {
    const sdk::Matrix& matrix = work.matrix();
    const QuantState state = read_state(work, parts);
    if (state.blocksize < 32)
      throw PluginError(PRECIS_UNSUPPORTED, "blocks of " + std::to_string(state.blocksize) +
                                                " are below bitsandbytes' smallest, 32");
    const uint64_t blocks = block_count(matrix.elements(), state.blocksize);
    require_bytes(*parts[0], (matrix.elements() + 1) / 2);
    const float* absmax = nullptr;
    if (state.nested) {
      if (packed.empty() || packed[0]->nbytes < blocks * sizeof(float))
        throw PluginError(PRECIS_FAILED_PRECONDITION,
                          "the weight's maxima are quantized, which the config does not say: set "
                          "bnb_4bit_use_double_quant");
      auto* unnested = work.data<float>(*packed[0], "the planned maxima");
      unnest(work, state, parts, 0, blocks, blocks, unnested);
      absmax = unnested;
    } else {
      require_bytes(*parts[1], blocks * sizeof(float));
      absmax = work.data<const float>(*parts[1], "absmax");
    }
    const device::FourBitTensor stored =
        tensor_of(state, matrix.rows, matrix.columns,
                  work.data<const uint8_t>(*parts[0], "the packed weight"), absmax);
    return device_product(options, work, [stored](const ProductArguments& a) {
      return device::linear_4bit(stored, a.activation, a.x, a.bias, a.y, a.m, a.call.stream);
    });
  }
};

}  // namespace
}  // namespace precis::bitsandbytes::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(bitsandbytes::FourBitQuantizer, bitsandbytes::PRECIS_DEVICE::FourBit)
