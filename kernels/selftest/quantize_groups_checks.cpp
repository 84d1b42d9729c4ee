// Encoders of group-wise integers, against kernels/cpu. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include <algorithm>
#include <limits>

#include "kernels/device/float8.h"
#include "kernels/device/grouped.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

// With a row of zeros, one without a negative number, small numbers, a NaN and an infinity.
std::vector<uint8_t> odd_weights(WeightType type, uint64_t rows, uint64_t columns) {
  Random random(rows * 3 + columns);
  std::vector<float> values = normal_values(random, rows * columns);
  for (uint64_t i = 0; i < values.size(); ++i) {
    const uint64_t row = i / columns, column = i % columns;
    if (row == 1) values[i] = 0;
    if (row == 2) values[i] = values[i] < 0 ? -values[i] : values[i];
    if (row == 3) values[i] *= 1e-6f;
    if (row == 4 && column == 3) values[i] = std::numeric_limits<float>::quiet_NaN();
    if (row == 5 && column == 0) values[i] = std::numeric_limits<float>::quiet_NaN();
    if (row == 6 && column == 4) values[i] = -std::numeric_limits<float>::infinity();
  }
  return encode(type, values);
}

std::string compare_halves(const std::string& what, const std::vector<uint16_t>& expected,
                           const std::vector<uint16_t>& actual) {
  const auto bytes = [](const std::vector<uint16_t>& numbers) {
    const auto* first = reinterpret_cast<const uint8_t*>(numbers.data());
    return std::vector<uint8_t>(first, first + 2 * numbers.size());
  };
  const std::string difference = compare_bits(WeightType::f16, bytes(expected), bytes(actual));
  return difference.empty() ? "" : what + " " + difference;
}

std::string check_gptq(WeightType type, GptqFormat format, bool symmetric, GptqShape shape) {
  const std::vector<uint8_t> weight = odd_weights(type, shape.rows, shape.columns);
  const auto bits = static_cast<uint64_t>(format.bits);
  std::vector<uint32_t> codes(shape.rows * shape.columns * bits / 32);
  std::vector<uint32_t> zeros(shape.groups() * shape.rows * bits / 32);
  std::vector<uint16_t> scales(shape.groups() * shape.rows);
  gptq_kernels(Isa::baseline)
      .quantize(type, weight.data(), format, symmetric, shape, 0, shape.rows, codes.data(),
                zeros.data(), scales.data());
  const DeviceArray<uint8_t> device_weight(weight);
  const DeviceArray<uint32_t> device_codes(codes.size()), device_zeros(zeros.size());
  const DeviceArray<uint16_t> device_scales(scales.size());
  if (const char* error =
          quantize_gptq(type, device_weight.data(), format, symmetric, shape, device_codes.data(),
                        device_zeros.data(), device_scales.data(), nullptr))
    return error;
  std::string difference = compare_halves("scale", scales, device_scales.values());
  if (difference.empty()) difference = compare_equal("zeros", zeros, device_zeros.values());
  return difference.empty() ? compare_equal("codes", codes, device_codes.values()) : difference;
}

std::string check_awq(WeightType type, AwqLayout layout, AwqShape shape) {
  const std::vector<uint8_t> weight = odd_weights(type, shape.rows, shape.columns);
  const uint64_t groups = layout == AwqLayout::gemm ? shape.groups() : 8 * shape.zero_width();
  std::vector<uint16_t> codes(shape.rows * shape.columns / 4), scales(groups * shape.rows);
  std::vector<uint16_t> zeros(layout == AwqLayout::gemv_fast ? scales.size() : scales.size() / 4);
  awq_kernels(Isa::baseline)
      .quantize(type, weight.data(), layout, shape, 0, shape.rows, codes.data(), zeros.data(),
                scales.data());
  const DeviceArray<uint8_t> device_weight(weight);
  const DeviceArray<uint16_t> device_codes(codes.size()), device_zeros(zeros.size()),
      device_scales(scales.size());
  if (const char* error =
          quantize_awq(type, device_weight.data(), layout, shape, device_codes.data(),
                       device_zeros.data(), device_scales.data(), nullptr))
    return error;
  std::string difference = compare_halves("scale", scales, device_scales.values());
  if (difference.empty())
    difference = layout == AwqLayout::gemv_fast
                     ? compare_halves("zero", zeros, device_zeros.values())
                     : compare_equal("zeros", zeros, device_zeros.values());
  return difference.empty() ? compare_equal("codes", codes, device_codes.values()) : difference;
}

std::string check_torchao_int8(WeightType type, uint64_t columns, const TorchaoInt8Rule& rule) {
  constexpr uint64_t kRows = 9;
  const std::vector<uint8_t> weight = odd_weights(type, kRows, columns);
  const AoBlocks blocks{columns, rule.block};
  const uint64_t count = kRows * blocks.per_row();
  std::vector<float> lows(count), highs(count);
  std::vector<int8_t> zeros(count), codes(kRows * columns);
  ao_encoders(Isa::baseline)
      .ranges(type, weight.data(), blocks, 0, kRows, lows.data(), highs.data());
  for (uint64_t i = 0; i < count; ++i) {
    const AoParameters found =
        ao_parameters(rule.mapping, type, rule.range, rule.smallest, lows[i], highs[i]);
    lows[i] = found.scale;
    zeros[i] = found.zero_point;
  }
  ao_encoders(Isa::baseline)
      .int8_codes(type, weight.data(), blocks, lows.data(), zeros.data(), rule.range,
                  rule.in_own_dtype, 0, kRows, codes.data());
  const WeightType scale_type = rule.in_own_dtype ? type : WeightType::f32;
  const std::vector<uint8_t> scales = encode(scale_type, lows);
  const DeviceArray<uint8_t> device_weight(weight), device_scales(scales.size());
  const DeviceArray<int8_t> device_codes(codes.size()), device_zeros(count);
  if (const char* error = quantize_torchao_int8(type, device_weight.data(), kRows, columns, rule,
                                                device_codes.data(), device_scales.data(),
                                                device_zeros.data(), nullptr))
    return error;
  std::string difference = compare_bits(scale_type, scales, device_scales.values());
  if (difference.empty()) difference = compare_equal("zero points", zeros, device_zeros.values());
  return difference.empty() ? compare_equal("codes", codes, device_codes.values()) : difference;
}

std::string check_torchao_int4(WeightType type, uint64_t columns, uint64_t block) {
  constexpr uint64_t kRows = 9;
  const std::vector<uint8_t> weight = odd_weights(type, kRows, columns);
  std::vector<uint8_t> codes(kRows * columns / 2);
  std::vector<uint8_t> scales(kRows * columns / block * bytes_of(type)), zeros(scales.size());
  ao_encoders(Isa::baseline)
      .int4_pairs(type, weight.data(), kRows, columns, block, 0, kRows, codes.data(), scales.data(),
                  zeros.data());
  const DeviceArray<uint8_t> device_weight(weight), device_codes(codes.size()),
      device_scales(scales.size()), device_zeros(zeros.size());
  if (const char* error = quantize_torchao_int4(type, device_weight.data(), kRows, columns, block,
                                                device_codes.data(), device_scales.data(),
                                                device_zeros.data(), nullptr))
    return error;
  std::string difference = compare_bits(type, scales, device_scales.values());
  if (difference.empty()) difference = compare_bits(type, zeros, device_zeros.values());
  return difference.empty() ? compare_equal("codes", codes, device_codes.values()) : difference;
}

// weights: of size `size`, which the errors follow.
std::string check_hqq(WeightType type, int bits, int levels, uint64_t groups, uint64_t group_size,
                      bool round_zero, int iterations, float size) {
  Random random(groups + group_size);
  std::vector<float> values = normal_values(random, groups * group_size);
  for (uint64_t i = 0; i < values.size(); ++i) {
    const uint64_t group = i / group_size;
    values[i] *= size;
    if (group == 1) values[i] = i % 3 == 0 ? -0.0f : 0.0f;
    if (group == 2) values[i] = values[i] < 0 ? -values[i] : values[i];
    if (group == 3) values[i] = 0.0625f;
  }
  const std::vector<uint8_t> weight = encode(type, values);
  const HqqGrid grid{bits, 1, groups, group_size};
  const uint64_t together = 7;
  std::vector<float> scales(groups), zeros(groups);
  const HqqSolver& solver = hqq_solver(Isa::baseline);
  solver.start(type, weight.data(), grid, levels, round_zero, 0, groups, scales.data(),
               zeros.data());
  float best = std::numeric_limits<float>::infinity();
  for (int i = 0; i < iterations; ++i) {
    double sum = 0;
    for (uint64_t begin = 0; begin < groups; begin += together)
      sum += solver.refine(type, weight.data(), grid, levels, begin,
                           std::min(begin + together, groups), scales.data(), zeros.data());
    const auto mean = static_cast<float>(sum / static_cast<double>(groups * group_size));
    if (!(mean < best)) break;
    best = mean;
  }
  std::vector<uint8_t> packed(grid.packed_bytes());
  hqq_kernels(Isa::baseline)
      .pack(type, weight.data(), grid, levels, scales.data(), zeros.data(), 0, grid.packed_rows(),
            packed.data());
  std::vector<float> stored;
  for (const float scale : scales) stored.push_back(1.0f / scale);
  const DeviceArray<uint8_t> device_weight(weight), device_packed(packed.size()),
      device_scales(groups * bytes_of(type)), device_zeros(groups * bytes_of(type));
  bool exact = false;
  if (const char* error = quantize_hqq(
          type, device_weight.data(), {grid, levels, round_zero, iterations, together},
          device_packed.data(), device_scales.data(), device_zeros.data(), &exact, nullptr))
    return error;
  if (size > 1) return exact ? "large errors were not found" : "";
  if (!exact) return "the errors are not that large";
  std::string difference = compare_bits(type, encode(type, stored), device_scales.values());
  if (!difference.empty()) return "scale " + difference;
  difference = compare_bits(type, encode(type, zeros), device_zeros.values());
  return difference.empty() ? compare_equal("codes", packed, device_packed.values())
                            : "zero " + difference;
}

std::string check_torchao_tiles(uint64_t rows, uint64_t columns, uint64_t block) {
  const uint64_t padded_rows = (rows + 7) / 8 * 8, padded_columns = (columns + 1023) / 1024 * 1024;
  const std::vector<uint8_t> weight = odd_weights(WeightType::bf16, rows, columns);
  std::vector<uint32_t> qdata(padded_rows * padded_columns / 8);
  std::vector<uint16_t> scales(padded_columns / block * padded_rows * 2);
  ao_encoders(Isa::baseline)
      .int4_tiles(reinterpret_cast<const uint16_t*>(weight.data()), rows, columns, block,
                  padded_rows, padded_columns, 0, padded_rows / 8, qdata.data(), scales.data());
  const DeviceArray<uint8_t> device_weight(weight);
  const DeviceArray<uint32_t> device_qdata(qdata.size());
  const DeviceArray<uint16_t> device_scales(scales.size());
  if (const char* error = quantize_torchao_tiles(
          reinterpret_cast<const uint16_t*>(device_weight.data()), rows, columns, block,
          padded_rows, padded_columns, device_qdata.data(), device_scales.data(), nullptr))
    return error;
  const auto bytes = [](const std::vector<uint16_t>& numbers) {
    const auto* first = reinterpret_cast<const uint8_t*>(numbers.data());
    return std::vector<uint8_t>(first, first + 2 * numbers.size());
  };
  const std::string difference =
      compare_bits(WeightType::bf16, bytes(scales), bytes(device_scales.values()));
  return difference.empty() ? compare_equal("codes", qdata, device_qdata.values())
                            : "scale " + difference;
}

std::string check_torchao_float8(WeightType type, bool e4m3fn, uint64_t columns, bool whole) {
  constexpr uint64_t kRows = 4;  // those of odd_weights that are finite
  const AoCodes format = e4m3fn ? AoCodes::float8_e4m3fn : AoCodes::float8_e5m2;
  const std::vector<uint8_t> weight = odd_weights(type, kRows, columns);
  const AoBlocks blocks{columns, columns, whole};
  std::vector<float> lows(kRows), highs(kRows);
  std::vector<uint8_t> codes(kRows * columns);
  ao_encoders(Isa::baseline)
      .ranges(type, weight.data(), blocks, 0, kRows, lows.data(), highs.data());
  for (uint64_t i = 1; whole && i < kRows; ++i) {
    lows[0] = std::min(lows[0], lows[i]);
    highs[0] = std::max(highs[0], highs[i]);
  }
  std::vector<float> scales(whole ? 1 : kRows);
  for (uint64_t i = 0; i < scales.size(); ++i)
    scales[i] = ao_float8_scale(type, format, lows[i], highs[i]);
  ao_encoders(Isa::baseline)
      .float8_codes(format, type, weight.data(), blocks, scales.data(), 0, kRows, codes.data());
  const DeviceArray<uint8_t> device_weight(weight), device_codes(codes.size());
  const DeviceArray<float> device_scales(scales.size());
  if (const char* error =
          quantize_torchao_float8(e4m3fn ? Float8Type::e4m3fn : Float8Type::e5m2, type,
                                  device_weight.data(), kRows, static_cast<uint32_t>(columns),
                                  whole, device_codes.data(), device_scales.data(), nullptr))
    return error;
  const std::string difference = compare_equal("scales", scales, device_scales.values());
  return difference.empty() ? compare_equal("codes", codes, device_codes.values()) : difference;
}

}  // namespace

std::vector<Check> quantize_groups_checks(CheckSize) {
  std::vector<Check> checks;
  for (const WeightType type : {WeightType::f32, WeightType::f16, WeightType::bf16}) {
    const std::string name = std::string(" ") + kernels::name_of(type);
    for (int bits = 2; bits <= 8; ++bits)
      for (const GptqFormat& format :
           {GptqFormat{bits, false, true}, GptqFormat{bits, false, false},
            GptqFormat{bits, true, false}})
        for (const bool symmetric : {true, false})
          checks.push_back({"gptq quantize, " + std::to_string(bits) + " bits" + name, [=] {
                              return check_gptq(type, format, symmetric, {64, 160, 64});
                            }});
    checks.push_back({"gptq quantize, a group a row" + name, [=] {
                        return check_gptq(type, {}, true, {32, 96, 96});
                      }});
    for (const AwqLayout layout : {AwqLayout::gemm, AwqLayout::gemv, AwqLayout::gemv_fast})
      for (const AwqShape& shape : {AwqShape{16, 320, 32}, AwqShape{8, 256, 64},
                                    AwqShape{24, 1280, 128}, AwqShape{8, 192, 192}})
        checks.push_back({"awq quantize" + name, [=] { return check_awq(type, layout, shape); }});
    for (const AoMapping mapping :
         {AoMapping::symmetric, AoMapping::symmetric_no_clipping_error, AoMapping::asymmetric})
      for (const bool in_own_dtype : {false, true})
        for (const AoCodeRange range : {AoCodeRange{-128, 127}, AoCodeRange{-8, 7}})
          checks.push_back(
              {"torchao int8 quantize" + name, [=] {
                 const float smallest = in_own_dtype ? smallest_normal(type) : 0x1p-23f;
                 const TorchaoInt8Rule rule{40, mapping, range, smallest, in_own_dtype};
                 return check_torchao_int8(type, 200, rule);
               }});
    for (const uint64_t block : {32u, 64u, 192u})
      checks.push_back(
          {"torchao int4 quantize" + name, [=] { return check_torchao_int4(type, 192, block); }});
    for (const bool e4m3fn : {true, false})
      for (const bool whole : {false, true})
        checks.push_back({"torchao float8 quantize" + name,
                          [=] { return check_torchao_float8(type, e4m3fn, 600, whole); }});
  }
  struct Width {
    int bits, levels;
  };
  for (const WeightType type : {WeightType::f32, WeightType::f16, WeightType::bf16})
    for (const Width width : {Width{8, 255}, Width{8, 63}, Width{4, 15}, Width{3, 7}, Width{2, 3},
                              Width{2, 2}, Width{1, 1}})
      for (const int iterations : {0, 20})
        checks.push_back({"hqq quantize " + std::to_string(width.levels + 1) + " levels " +
                              kernels::name_of(type),
                          [=] {
                            return check_hqq(type, width.bits, width.levels, 43, 64, iterations > 0,
                                             iterations, 0.05f);
                          }});
  checks.push_back({"hqq quantize large groups",
                    [] { return check_hqq(WeightType::bf16, 4, 15, 9, 1000, false, 20, 0.05f); }});
  checks.push_back({"hqq quantize large errors",
                    [] { return check_hqq(WeightType::bf16, 2, 3, 9, 64, false, 20, 4.0f); }});
  for (const uint64_t block : {32u, 128u, 256u})
    checks.push_back(
        {"torchao tiles quantize", [=] { return check_torchao_tiles(13, 1100, block); }});
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
