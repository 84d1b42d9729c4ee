// Compiled once for each back end, with PRECIS_DEVICE defined as its namespace.
#include "plugins/bitsandbytes/device.h"

#include <cstring>

#include "kernels/cpu/bitsandbytes/codebooks.h"
#include "kernels/device/bitsandbytes.h"
#include "kernels/device/host_runtime.h"
#include "plugins/bitsandbytes/quant_state.h"
#include "plugins/bitsandbytes/quantizer.h"
#include "plugins/device.h"

namespace precis::bitsandbytes::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using plugins::device_data;
using plugins::require_bytes;
using plugins::require_launched;
using sdk::PluginError;

uint64_t block_count(uint64_t elements, uint64_t blocksize) {
  return (elements + blocksize - 1) / blocksize;
}

// A small part as the host reads it, wherever it is.
std::string host_bytes(const precis_call& call, const precis_tensor& part) {
  std::string bytes(part.nbytes, '\0');
  const void* from = sdk::data<const void>(part);
  if (plugins::on_cpu(part))
    std::memcpy(bytes.data(), from, bytes.size());
  else
    require_launched(device::read_device(bytes.data(), from, bytes.size(), call.stream));
  return bytes;
}

void put_bytes(const precis_call& call, const precis_tensor& part, const void* from,
               uint64_t bytes) {
  void* to = sdk::data<void>(part);
  if (plugins::on_cpu(part))
    std::memcpy(to, from, bytes);
  else
    require_launched(device::write_device(to, from, bytes, call.stream));
}

QuantState read_state(const precis_call& call, const sdk::ConstParts& parts) {
  if (parts.size() < 4)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the parts are not those of the plan");
  QuantState state = parse_quant_state(host_bytes(call, *parts.back()));
  if (state.nested && parts.size() < 6)
    throw PluginError(PRECIS_DATA_LOSS, "the nested statistics are missing");
  return state;
}

void require_workspace(const precis_call& call, uint64_t bytes) {
  if (call.workspace_size < bytes)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the workspace is smaller than planned");
}

void quantize_four_bit(const precis_call& call, const Config& config, const precis_param& param,
                       const precis_tensor& weight, const sdk::Parts& parts) {
  const precis_device where = weight.view.device;
  const device::CurrentDevice current(where.index);
  const uint64_t n = sdk::matrix(param).elements();
  const uint64_t blocks = block_count(n, config.blocksize);
  const kernels::FourBitType type = code_type(config.quant_type);
  if (config.double_quant) require_workspace(call, blocks * sizeof(float));
  float* absmax = config.double_quant ? static_cast<float*>(call.workspace)
                                      : device_data<float>(*parts[1], where, "absmax");
  require_launched(device::quantize_4bit(
      type, plugins::weight_type(param.dtype), device_data<const void>(weight, where, "the weight"),
      n, static_cast<uint32_t>(config.blocksize),
      device_data<uint8_t>(*parts[0], where, "the packed weight"), absmax, call.stream));
  put_bytes(call, *parts[2], kernels::four_bit_codebook(type), 16 * sizeof(float));
  QuantState state = four_bit_state(config, param);
  if (config.double_quant) {
    std::vector<float> maxima(blocks), nested(block_count(blocks, kernels::kNestedBlocksize));
    std::vector<uint8_t> codes(blocks);
    require_launched(device::read_device(maxima.data(), absmax, blocks * 4, call.stream));
    kernels::quantize_absmax(maxima.data(), blocks, codes.data(), nested.data(),
                             &state.nested_offset);
    put_bytes(call, *parts[1], codes.data(), blocks);
    put_bytes(call, *parts[3], nested.data(), nested.size() * 4);
    put_bytes(call, *parts[4], kernels::dynamic_8bit_codebook(), 256 * sizeof(float));
  }
  const std::string json = quant_state_json(state);
  put_bytes(call, *parts.back(), json.data(), json.size());
}

// absmax[blocks] of blocks first ... of a weight whose maxima are quantized themselves.
void unnest(const precis_call& call, const QuantState& state, const sdk::ConstParts& parts,
            precis_device where, uint64_t first, uint64_t blocks, uint64_t all, float* absmax) {
  if (first % state.nested_blocksize != 0)
    throw PluginError(PRECIS_UNSUPPORTED, "on a device the rows begin at a block of maxima");
  require_bytes(*parts[1], all);
  require_bytes(*parts[3], block_count(all, state.nested_blocksize) * sizeof(float));
  require_bytes(*parts[4], 256 * sizeof(float));
  require_launched(device::dequantize_absmax(
      device_data<const uint8_t>(*parts[1], where, "absmax") + first,
      device_data<const float>(*parts[3], where, "nested_absmax") + first / state.nested_blocksize,
      device_data<const float>(*parts[4], where, "nested_quant_map"), state.nested_offset,
      static_cast<uint32_t>(state.nested_blocksize), blocks, absmax, call.stream));
}

device::FourBitTensor tensor_of(const QuantState& state, uint64_t rows, uint64_t columns,
                                const uint8_t* packed, const float* absmax) {
  return {code_type(state.quant_type),
          plugins::weight_type(weight_dtype(state.dtype)),
          static_cast<uint32_t>(rows),
          static_cast<uint32_t>(columns),
          static_cast<uint32_t>(state.blocksize),
          packed,
          absmax};
}

void dequantize_four_bit(const precis_call& call, const precis_param& param,
                         const sdk::ConstParts& parts, int64_t row_begin, precis_tensor& weight) {
  const precis_device where = weight.view.device;
  const device::CurrentDevice current(where.index);
  const QuantState state = read_state(call, parts);
  const sdk::Matrix matrix = sdk::matrix(param);
  const uint64_t rows = weight.view.ndim == 0 ? 1 : static_cast<uint64_t>(weight.view.shape[0]);
  const uint64_t begin = static_cast<uint64_t>(row_begin) * matrix.columns;
  const uint64_t count = rows * matrix.columns,
                 all = block_count(matrix.elements(), state.blocksize);
  if (begin % state.blocksize != 0 || matrix.elements() >= uint64_t{1} << 32)
    throw PluginError(
        PRECIS_UNSUPPORTED,
        "on a device the rows begin at a block and the weight is below 2^32 elements");
  const uint64_t first = begin / state.blocksize, blocks = block_count(count, state.blocksize);
  require_bytes(*parts[0], (matrix.elements() + 1) / 2);
  const uint8_t* packed =
      device_data<const uint8_t>(*parts[0], where, "the packed weight") + begin / 2;
  const float* absmax = nullptr;
  if (state.nested) {
    require_workspace(call, blocks * sizeof(float));
    absmax = static_cast<float*>(call.workspace);
    unnest(call, state, parts, where, first, blocks, all, static_cast<float*>(call.workspace));
  } else {
    require_bytes(*parts[1], all * sizeof(float));
    absmax = device_data<const float>(*parts[1], where, "absmax") + first;
  }
  // As one row: blocks run on across the rows of the weight.
  require_launched(device::dequantize_4bit(
      tensor_of(state, 1, count, packed, absmax), plugins::weight_type(weight.view.dtype),
      device_data<void>(weight, where, "the weight"), call.stream));
}

class FourBitProduct final : public plugins::DeviceProduct {
 public:
  FourBitProduct(const precis_linear_options& options, const sdk::Matrix& matrix,
                 const device::FourBitTensor& weight)
      : DeviceProduct(options, matrix), weight_(weight) {}

 private:
  void launch(const precis_call& call, const Arguments& a) const override {
    const device::CurrentDevice current(options_.device.index);
    require_launched(
        device::linear_4bit(weight_, a.activation, a.x, a.bias, a.y, a.m, call.stream));
  }
  device::FourBitTensor weight_;
};

std::unique_ptr<sdk::Linear> prepare_four_bit(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) {
  const precis_device where = options.device;
  const device::CurrentDevice current(where.index);
  const sdk::Matrix matrix = plugins::device_product_shape(options, param);
  const QuantState state = read_state(call, parts);
  if (state.blocksize < 32)
    throw PluginError(PRECIS_UNSUPPORTED, "blocks of " + std::to_string(state.blocksize) +
                                              " are below bitsandbytes' smallest, 32");
  const uint64_t blocks = block_count(matrix.elements(), state.blocksize);
  require_bytes(*parts[0], (matrix.elements() + 1) / 2);
  const auto* codes = device_data<const uint8_t>(*parts[0], where, "the packed weight");
  const float* absmax = nullptr;
  if (state.nested) {
    if (packed.empty() || packed[0]->nbytes < blocks * sizeof(float))
      throw PluginError(PRECIS_FAILED_PRECONDITION,
                        "the weight's maxima are quantized, which the config does not say: set "
                        "bnb_4bit_use_double_quant");
    auto* out = device_data<float>(*packed[0], where, "the planned maxima");
    unnest(call, state, parts, where, 0, blocks, blocks, out);
    absmax = out;
  } else {
    require_bytes(*parts[1], blocks * sizeof(float));
    absmax = device_data<const float>(*parts[1], where, "absmax");
  }
  return std::make_unique<FourBitProduct>(
      options, matrix, tensor_of(state, matrix.rows, matrix.columns, codes, absmax));
}

void quantize_eight_bit(const precis_call& call, const precis_param& param,
                        const precis_tensor& weight, const sdk::Parts& parts) {
  const precis_device where = weight.view.device;
  const device::CurrentDevice current(where.index);
  const sdk::Matrix matrix = sdk::matrix(param);
  require_launched(device::quantize_int8_rows(
      plugins::weight_type(param.dtype), device_data<const void>(weight, where, "the weight"),
      static_cast<uint32_t>(matrix.rows), static_cast<uint32_t>(matrix.columns),
      device_data<int8_t>(*parts[0], where, "the codes"),
      device_data<float>(*parts[1], where, "SCB"), call.stream));
  const uint8_t row_major = 0;
  put_bytes(call, *parts[2], &row_major, 1);
}

void require_row_major_part(const precis_call& call, const sdk::ConstParts& parts) {
  if (parts.size() < 2)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the parts are not those of the plan");
  if (parts.size() < 3) return;
  const std::string format = host_bytes(call, *parts[2]);
  require_row_major(format);
}

void dequantize_eight_bit(const precis_call& call, const precis_param& param,
                          const sdk::ConstParts& parts, int64_t row_begin, precis_tensor& weight) {
  const precis_device where = weight.view.device;
  const device::CurrentDevice current(where.index);
  require_row_major_part(call, parts);
  const sdk::Matrix matrix = sdk::matrix(param);
  require_bytes(*parts[0], matrix.elements());
  require_bytes(*parts[1], matrix.rows * sizeof(float));
  const auto begin = static_cast<uint64_t>(row_begin);
  const uint64_t rows = weight.view.ndim == 0 ? 1 : static_cast<uint64_t>(weight.view.shape[0]);
  if (begin * matrix.columns % 16 != 0)
    throw PluginError(PRECIS_UNSUPPORTED, "on a device the rows begin at a multiple of 16 bytes");
  const device::Int8Tensor tensor{
      static_cast<uint32_t>(rows), static_cast<uint32_t>(matrix.columns),
      device_data<const int8_t>(*parts[0], where, "the codes") + begin * matrix.columns,
      device_data<const float>(*parts[1], where, "SCB") + begin};
  require_launched(device::dequantize_int8_rows(tensor, plugins::weight_type(weight.view.dtype),
                                                device_data<void>(weight, where, "the weight"),
                                                call.stream));
}

class EightBitProduct final : public plugins::DeviceProduct {
 public:
  EightBitProduct(const precis_linear_options& options, const sdk::Matrix& matrix,
                  const device::Int8Tensor& weight, float threshold)
      : DeviceProduct(options, matrix), weight_(weight), threshold_(threshold) {}

 private:
  void launch(const precis_call& call, const Arguments& a) const override {
    require_workspace(call, device::llm_int8_workspace(a.m, weight_.columns));
    const device::CurrentDevice current(options_.device.index);
    require_launched(device::linear_llm_int8(weight_, threshold_, a.activation, a.x, a.bias, a.y,
                                             a.m, call.workspace, call.stream));
  }
  device::Int8Tensor weight_;
  float threshold_;
};

uint64_t eight_bit_workspace(const precis_linear_options& options, const precis_param& param) {
  const sdk::Matrix matrix = plugins::device_product_shape(options, param);
  if (matrix.columns % 16 != 0)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "in_features " + std::to_string(matrix.columns) + " is not a multiple of 16");
  if (options.max_rows >= int64_t{1} << 31)
    throw PluginError(PRECIS_UNSUPPORTED, "max_rows is 2^31 or more");
  return device::llm_int8_workspace(static_cast<uint32_t>(options.max_rows),
                                    static_cast<uint32_t>(matrix.columns));
}

std::unique_ptr<sdk::Linear> prepare_eight_bit(const precis_call& call,
                                               const precis_linear_options& options,
                                               const precis_param& param, float threshold,
                                               const sdk::ConstParts& parts) {
  const precis_device where = options.device;
  const device::CurrentDevice current(where.index);
  const sdk::Matrix matrix = plugins::device_product_shape(options, param);
  require_row_major_part(call, parts);
  require_bytes(*parts[0], matrix.elements());
  require_bytes(*parts[1], matrix.rows * sizeof(float));
  const device::Int8Tensor tensor{static_cast<uint32_t>(matrix.rows),
                                  static_cast<uint32_t>(matrix.columns),
                                  device_data<const int8_t>(*parts[0], where, "the codes"),
                                  device_data<const float>(*parts[1], where, "SCB")};
  return std::make_unique<EightBitProduct>(options, matrix, tensor, threshold);
}

constexpr int32_t device_type() {
#if defined(PRECIS_DEVICE_SIMT)
  return plugins::kExecutorDevice;
#else
  return PRECIS_DEVICE_CUDA;
#endif
}

std::string fault(int32_t index) {
  return device::device_fault(index);
}

}  // namespace

const DeviceMethods& methods() {
  static constexpr DeviceMethods kMethods{device_type(),        fault,
                                          quantize_four_bit,    dequantize_four_bit,
                                          prepare_four_bit,     quantize_eight_bit,
                                          dequantize_eight_bit, eight_bit_workspace,
                                          prepare_eight_bit};
  return kMethods;
}

}  // namespace precis::bitsandbytes::PRECIS_DEVICE
