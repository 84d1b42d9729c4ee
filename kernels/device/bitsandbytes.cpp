// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/bitsandbytes.h"

#include <algorithm>
#include <bit>

#include "kernels/cpu/bitsandbytes/codebooks.h"
#include "kernels/device/dequantize.h"
#include "kernels/device/formats/four_bit.h"
#include "kernels/device/formats/int8_row.h"
#include "kernels/device/gemm.h"
#include "kernels/device/gemv.h"
#include "kernels/device/int8_product.h"
#include "kernels/device/quantize_four_bit.h"
#include "kernels/device/quantize_int8.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

Rounding rounding_of(WeightType type) {
  return type == WeightType::f16    ? Rounding::half
         : type == WeightType::bf16 ? Rounding::bfloat16
                                    : Rounding::none;
}

const char* check(const FourBitTensor& weight) {
  if (weight.blocksize < 8 || !std::has_single_bit(weight.blocksize))
    return "4-bit blockwise: blocksize is a power of two and at least 8";
  return nullptr;
}

FourBit::Weight kernel_weight(const FourBitTensor& weight) {
  FourBit::Weight out{weight.rows,
                      weight.columns,
                      weight.packed,
                      weight.absmax,
                      static_cast<uint32_t>(std::countr_zero(weight.blocksize)),
                      rounding_of(weight.weight_type),
                      {}};
  std::copy_n(four_bit_codebook(weight.type), 16, out.codebook);
  return out;
}

Int8Row::Weight kernel_weight(const Int8Tensor& weight) {
  return {weight.rows, weight.columns, weight.codes, weight.scb};
}

}  // namespace

const char* quantize_4bit(FourBitType type, WeightType weight_type, const void* weight, uint64_t n,
                          uint32_t blocksize, uint8_t* packed, float* absmax, void* stream) {
  if (blocksize == 0 || blocksize % 2 != 0) return "4-bit blockwise: blocksize is even";
  const FourBitCode& code = four_bit_code(type);
  FourBitEncoder encoder;
  std::copy_n(code.bounds, 15, encoder.bounds);
  std::copy_n(code.code_of_rank, 16, encoder.code_of_rank);
  return with_element(weight_type, [&](auto element) {
    using Element = decltype(element);
    return launch_quantize_four_bit(encoder, static_cast<const Element*>(weight), n, blocksize,
                                    packed, absmax, stream);
  });
}

const char* dequantize_4bit(const FourBitTensor& weight, WeightType out_type, void* out,
                            void* stream) {
  if (const char* error = check(weight)) return error;
  FourBit::Weight flat = kernel_weight(weight);
  if (flat.columns % kRun != 0) {
    // Rows that start within a run: the weight as one row.
    const uint64_t elements = uint64_t{flat.rows} * flat.columns;
    if (elements > UINT32_MAX)
      return "4-bit blockwise: a weight of 2^32 or more elements has columns a multiple of 8";
    flat.rows = 1;
    flat.columns = static_cast<uint32_t>(elements);
  }
  return with_element(out_type, [&](auto element) {
    using Element = decltype(element);
    return launch_dequantize<FourBit>(flat, static_cast<Element*>(out), stream);
  });
}

const char* dequantize_absmax(const uint8_t* codes, const float* nested_absmax,
                              const float* codebook, float offset, uint32_t nested_blocksize,
                              uint64_t count, float* absmax, void* stream) {
  if (count == 0) return nullptr;
  return PRECIS_LAUNCH(dequantize_absmax_kernel, dim3(static_cast<unsigned>((count + 255) / 256)),
                       dim3(256), 0, stream, codes, nested_absmax, codebook, offset,
                       nested_blocksize, count, absmax);
}

const char* linear_4bit(const FourBitTensor& weight, WeightType activation, const void* x,
                        const void* bias, void* y, uint32_t m, void* stream) {
  if (const char* error = check(weight)) return error;
  return launch_linear<FourBit>(kernel_weight(weight), activation, x, bias, y, m, stream);
}

const char* quantize_int8_rows(WeightType type, const void* matrix, uint32_t rows, uint32_t columns,
                               int8_t* codes, float* absmax, void* stream) {
  return with_element(type, [&](auto element) {
    using Element = decltype(element);
    return launch_quantize_int8_rows(static_cast<const Element*>(matrix), rows, columns, {}, codes,
                                     absmax, stream);
  });
}

const char* dequantize_int8_rows(const Int8Tensor& weight, WeightType out_type, void* out,
                                 void* stream) {
  return with_element(out_type, [&](auto element) {
    using Element = decltype(element);
    return launch_dequantize<Int8Row>(kernel_weight(weight), static_cast<Element*>(out), stream);
  });
}

const char* linear_int8(const Int8Tensor& weight, WeightType activation, const void* x,
                        const void* bias, void* y, uint32_t m, void* stream) {
  return launch_linear<Int8Row>(kernel_weight(weight), activation, x, bias, y, m, stream);
}

const char* linear_int8_int8(const Int8Tensor& weight, const int8_t* x, const float* x_absmax,
                             WeightType activation, const void* bias, void* y, uint32_t m,
                             void* stream) {
  if (weight.columns % 16 != 0) return "int8 products: in_features is a multiple of 16";
  return launch_int8_product({m, weight.rows, weight.columns, x, x_absmax, weight.codes, weight.scb,
                              kInverse127Squared, nullptr, nullptr},
                             activation, bias, y, stream);
}

namespace {

// How the workspace of linear_llm_int8 is divided; each part is aligned to 16 bytes.
struct Int8Workspace {
  uint64_t codes, absmax, flags, list, bytes;
  Int8Workspace(uint64_t m, uint64_t columns) {
    uint64_t at = 0;
    const auto take = [&at](uint64_t size) {
      const uint64_t begin = at;
      at += (size + 15) / 16 * 16;
      return begin;
    };
    codes = take(m * columns);
    absmax = take(m * sizeof(float));
    flags = take(columns);
    list = take((columns + 1) * sizeof(uint32_t));
    bytes = at;
  }
};

}  // namespace

uint64_t llm_int8_workspace(uint32_t m, uint32_t columns) {
  return Int8Workspace(m, columns).bytes;
}

const char* linear_llm_int8(const Int8Tensor& weight, float threshold, WeightType activation,
                            const void* x, const void* bias, void* y, uint32_t m, void* workspace,
                            void* stream) {
  if (weight.columns % 16 != 0) return "int8 products: in_features is a multiple of 16";
  if (m == 0 || weight.rows == 0) return nullptr;
  const Int8Workspace layout(m, weight.columns);
  auto* bytes = static_cast<uint8_t*>(workspace);
  auto* codes = reinterpret_cast<int8_t*>(bytes + layout.codes);
  auto* absmax = reinterpret_cast<float*>(bytes + layout.absmax);
  uint8_t* flags = bytes + layout.flags;
  auto* list = reinterpret_cast<uint32_t*>(bytes + layout.list);
  const bool outliers = threshold > 0;
  return with_activation(activation, [&](auto element) -> const char* {
    using Element = decltype(element);
    const auto* values = static_cast<const Element*>(x);
    if (outliers) {
      if (const char* error =
              launch_int8_outliers(values, m, weight.columns, threshold, flags, list, stream))
        return error;
    }
    const Int8Outliers found{threshold, outliers ? flags : nullptr};
    if (const char* error =
            launch_quantize_int8_rows(values, m, weight.columns, found, codes, absmax, stream))
      return error;
    return launch_int8_product({m, weight.rows, weight.columns, codes, absmax, weight.codes,
                                weight.scb, kInverse127Squared, outliers ? list : nullptr, x},
                               activation, bias, y, stream);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
