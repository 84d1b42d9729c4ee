// Group-wise integers in the stored forms of GPTQ, AWQ, HQQ, optimum-quanto and torchao: every bit
// pattern is a weight, so the checks take random ones. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include <tuple>

#include "kernels/cpu/quanto/quanto.h"
#include "kernels/device/grouped.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

// A weight of random bits on both sides: `make` builds the tensor from three addresses (codes,
// scales, zeros) and decode() gives kernels/cpu's values.
struct StoredWeight {
  uint32_t rows, columns;
  std::vector<uint8_t> codes, scales, zeros;
  std::function<GroupedTensor(const void* codes, const void* scales, const void* zeros)> make;
  std::function<void(const GroupedTensor&, WeightType, void*)> decode;

  std::vector<uint8_t> values(WeightType type) const {
    std::vector<uint8_t> out(uint64_t{rows} * columns * bytes_of(type));
    decode(make(codes.data(), scales.data(), zeros.data()), type, out.data());
    return out;
  }
};

std::vector<uint8_t> random_bytes(Random& random, uint64_t count) {
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.bits());
  return bytes;
}

std::vector<uint8_t> random_scales(Random& random, WeightType type, uint64_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = random.uniform(0.01f, 0.05f);
  return encode(type, values);
}

StoredWeight gptq(GptqFormat format, GptqShape shape, WeightType scale_type,
                  const int32_t* group_of = nullptr) {
  Random random(shape.rows + shape.columns + static_cast<uint64_t>(format.bits));
  const auto bits = static_cast<uint64_t>(format.bits);
  return {static_cast<uint32_t>(shape.rows),
          static_cast<uint32_t>(shape.columns),
          random_bytes(random, shape.rows * shape.columns * bits / 8),
          random_scales(random, scale_type, shape.groups() * shape.rows),
          random_bytes(random, shape.groups() * shape.rows * bits / 8),
          [=](const void* codes, const void* scales, const void* zeros) {
            return GptqTensor{format,
                              shape,
                              static_cast<const uint32_t*>(codes),
                              static_cast<const uint32_t*>(zeros),
                              scale_type,
                              scales,
                              group_of};
          },
          [group_of](const GroupedTensor& tensor, WeightType type, void* out) {
            const auto& w = std::get<GptqTensor>(tensor);
            gptq_kernels(Isa::baseline)
                .dequantize(w.format, w.shape, w.qweight, w.qzeros, w.scale_type, w.scales,
                            group_of, 0, w.shape.rows, type, out);
          }};
}

StoredWeight awq(AwqLayout layout, AwqShape shape, WeightType scale_type) {
  Random random(shape.rows * 3 + shape.columns);
  const bool gemv = layout == AwqLayout::gemv, fast = layout == AwqLayout::gemv_fast;
  const uint64_t padded = 8 * shape.zero_width(), groups = gemv || fast ? padded : shape.groups();
  std::vector<uint8_t> zeros = random_bytes(random, groups * shape.rows / 2);
  if (fast) zeros = encode(scale_type, normal_values(random, padded * shape.rows));
  return {static_cast<uint32_t>(shape.rows),
          static_cast<uint32_t>(shape.columns),
          random_bytes(random, shape.rows * shape.columns / 2),
          random_scales(random, scale_type, groups * shape.rows),
          std::move(zeros),
          [=](const void* codes, const void* scales, const void* stored_zeros) {
            return AwqTensor{layout, shape, codes, stored_zeros, scale_type, scales};
          },
          [](const GroupedTensor& tensor, WeightType type, void* out) {
            const auto& w = std::get<AwqTensor>(tensor);
            awq_kernels(Isa::baseline)
                .dequantize(w.layout, w.shape, w.qweight, w.qzeros, w.scale_type, w.scales, 0,
                            w.shape.rows, type, out);
          }};
}

// axis 1: groups of `group` neighbours; axis 0: `group` rows of the grouped matrix.
StoredWeight hqq(int bits, int axis, uint32_t rows, uint32_t columns, uint32_t group,
                 WeightType compute, WeightType meta) {
  Random random(rows * 5 + columns + static_cast<uint32_t>(bits));
  const uint64_t elements = uint64_t{rows} * columns;
  const HqqGrid grid{bits, axis, axis == 1 ? elements / group : group,
                     axis == 1 ? group : elements / group};
  return {rows,
          columns,
          random_bytes(random, grid.packed_bytes()),
          random_scales(random, meta, grid.groups()),
          encode(meta, normal_values(random, grid.groups())),
          [=](const void* codes, const void* scales, const void* zeros) {
            return HqqTensor{{grid, codes, compute, meta, scales, zeros}, rows, columns};
          },
          [elements](const GroupedTensor& tensor, WeightType type, void* out) {
            hqq_kernels(Isa::baseline)
                .dequantize(std::get<HqqTensor>(tensor).weight, 0, elements, type, out);
          }};
}

StoredWeight quanto(int bits, uint32_t rows, uint32_t columns, uint32_t group, WeightType type) {
  Random random(rows * 7 + columns);
  const uint64_t groups = uint64_t{rows} * columns / group;
  const auto per_byte = static_cast<uint64_t>(8 / bits);
  return {rows,
          columns,
          random_bytes(random, (groups + per_byte - 1) / per_byte * group),
          random_scales(random, type, groups),
          encode(type, normal_values(random, groups)),
          [=](const void* codes, const void* scales, const void* shifts) {
            return QuantoGroupsTensor{
                bits, rows,   columns, group, static_cast<const uint8_t*>(codes),
                type, scales, shifts};
          },
          [groups](const GroupedTensor& tensor, WeightType out_type, void* out) {
            const auto& w = std::get<QuantoGroupsTensor>(tensor);
            quanto_kernels(Isa::baseline)
                .dequantize_groups(w.bits, w.scale_type, w.packed, groups, w.scales, w.shifts,
                                   w.group_size, 0, groups, out_type, out);
          }};
}

StoredWeight torchao(AoCodes kind, uint32_t rows, uint32_t columns, uint32_t block,
                     WeightType scale_type, WeightType dtype) {
  Random random(rows * 11 + columns);
  const uint64_t padded_rows = (rows + 7) / 8 * 8, padded_columns = (columns + 127) / 128 * 128;
  const bool tiles = kind == AoCodes::int4_tiles, bytes = kind == AoCodes::int8;
  const uint64_t groups =
      tiles ? padded_columns / block * padded_rows * 2 : uint64_t{columns} / block * rows;
  return {rows,
          columns,
          random_bytes(random, tiles ? padded_rows * padded_columns / 2
                                     : uint64_t{rows} * columns / (bytes ? 1 : 2)),
          random_scales(random, tiles ? WeightType::bf16 : scale_type, groups),
          bytes ? random_bytes(random, groups) : encode(scale_type, normal_values(random, groups)),
          [=](const void* codes, const void* scales, const void* zeros) {
            return AoWeight{
                kind,          codes,  rows,
                columns,       1,      block,
                scale_type,    scales, bytes ? static_cast<const int8_t*>(zeros) : nullptr,
                zeros,         dtype,  padded_rows,
                padded_columns};
          },
          [](const GroupedTensor& tensor, WeightType type, void* out) {
            const auto& w = std::get<AoWeight>(tensor);
            ao_decoders(Isa::baseline).dequantize(w, 0, w.rows, type, out);
          }};
}

struct OnDevice {
  DeviceArray<uint8_t> codes, scales, zeros;
  explicit OnDevice(const StoredWeight& weight)
      : codes(weight.codes), scales(weight.scales), zeros(weight.zeros) {}
};

std::string check_dequantize(const StoredWeight& weight, WeightType out_type,
                             const std::vector<int32_t>& group_of = {}) {
  const OnDevice device(weight);
  const DeviceArray<int32_t> device_group_of(group_of);
  const DeviceArray<uint8_t> out(uint64_t{weight.rows} * weight.columns * bytes_of(out_type));
  GroupedTensor tensor =
      weight.make(device.codes.data(), device.scales.data(), device.zeros.data());
  if (!group_of.empty()) std::get<GptqTensor>(tensor).group_of = device_group_of.data();
  if (const char* error = dequantize_groups(tensor, out_type, out.data(), nullptr)) return error;
  return compare_bits(out_type, weight.values(out_type), out.values());
}

std::string check_linear(const StoredWeight& weight, WeightType activation, uint32_t m) {
  Random random(m + weight.columns);
  const OnDevice device(weight);
  const GroupedTensor tensor =
      weight.make(device.codes.data(), device.scales.data(), device.zeros.data());
  GroupedRows rows;
  if (const char* error = plan_rows(tensor, &rows)) return error;
  const DeviceArray<uint32_t> codes(rows.code_words());
  const DeviceArray<float> scales(rows.scale_count());
  if (const char* error =
          repack(tensor, rows.in_place ? nullptr : codes.data(), scales.data(), nullptr))
    return error;
  if (!rows.in_place) rows.codes = codes.data();
  rows.scales = scales.data();
  LinearCase linear{m, weight.rows, weight.columns, activation, {}, {}, {}};
  linear.weight = decode(WeightType::f32, weight.values(WeightType::f32));
  if (m > 8) linear.weight = decode(activation, encode(activation, linear.weight));
  const std::vector<uint8_t> x =
      encode(activation, normal_values(random, uint64_t{m} * weight.columns));
  linear.x = decode(activation, x);
  const std::vector<uint8_t> bias = encode(activation, normal_values(random, weight.rows));
  linear.bias = decode(activation, bias);
  const DeviceArray<uint8_t> device_x(x), device_bias(bias), y(uint64_t{m} * weight.rows * 2);
  if (const char* error = linear_groups(rows, activation, device_x.data(), device_bias.data(),
                                        y.data(), m, nullptr))
    return error;
  // Where offsets are added, scale * sum(q x) and offset * sum(x) exceed their sum.
  const double spread = rows.offset_added ? 32 : 1;
  const double relative_error =
      m <= 8 ? spread * (weight.columns / 32.0 + 16) * 0x1p-24 : weight.columns * 0x1p-23;
  return compare_linear(linear, relative_error, y.values());
}

// Groups of normal numbers, of zeros of both signs, of numbers above zero, and of one number.
std::string check_quantize_quanto(int bits, WeightType type, uint64_t groups, uint32_t group_size,
                                  bool through_tinygemm) {
  Random random(groups + group_size);
  std::vector<float> values = normal_values(random, groups * group_size);
  for (uint64_t i = 0; i < values.size(); ++i) {
    const uint64_t group = i / group_size;
    if (group % 5 == 1) values[i] = i % 3 == 0 ? -0.0f : 0.0f;
    if (group % 5 == 2) values[i] = values[i] < 0 ? 0.0f : values[i];
    if (group % 5 == 3) values[i] = 0.75f;
  }
  const std::vector<uint8_t> matrix = encode(type, values);
  std::vector<uint8_t> codes(values.size()), scales(groups * bytes_of(type)), shifts(scales.size());
  const auto per_byte = static_cast<uint64_t>(8 / bits);
  const uint64_t packed_rows = (groups + per_byte - 1) / per_byte;
  std::vector<uint8_t> packed(packed_rows * group_size);
  quanto_kernels(Isa::baseline)
      .quantize_groups(bits, type, matrix.data(), group_size, 0, groups, codes.data(),
                       scales.data(), shifts.data());
  pack_planes(bits, codes.data(), groups, group_size, 0, packed_rows, packed.data());
  if (through_tinygemm)
    tinygemm_shift(reinterpret_cast<const uint16_t*>(scales.data()),
                   reinterpret_cast<uint16_t*>(shifts.data()), groups);
  const DeviceArray<uint8_t> device_matrix(matrix), device_packed(packed.size()),
      device_scales(scales.size()), device_shifts(shifts.size());
  if (const char* error = quantize_quanto_groups(
          bits, type, device_matrix.data(), groups, group_size, through_tinygemm,
          device_packed.data(), device_scales.data(), device_shifts.data(), nullptr))
    return error;
  for (const auto& [name, wanted, got] : {std::tuple{"scales", &scales, &device_scales},
                                          {"shifts", &shifts, &device_shifts},
                                          {"packed", &packed, &device_packed}})
    if (const std::string fault = compare_equal(name, *wanted, got->values()); !fault.empty())
      return fault;
  return "";
}

struct Named {
  std::string name;
  StoredWeight weight;
};

// Decoding rounds in many ways; here is each of them.
std::vector<Named> weights_to_decode() {
  std::vector<Named> list;
  for (const int bits : {2, 3, 4, 5, 6, 7, 8}) {
    const std::string name = "gptq " + std::to_string(bits);
    list.push_back({name, gptq({bits, false, true}, {64, 160, 32}, WeightType::f16)});
    list.push_back({name + " planar", gptq({bits, true, false}, {32, 96, 96}, WeightType::bf16)});
  }
  for (const WeightType type : {WeightType::f16, WeightType::bf16}) {
    const std::string name = kernels::name_of(type);
    list.push_back({"awq gemm " + name, awq(AwqLayout::gemm, {40, 256, 64}, type)});
    list.push_back({"awq gemv " + name, awq(AwqLayout::gemv, {40, 256, 32}, type)});
    list.push_back({"awq gemv_fast " + name, awq(AwqLayout::gemv_fast, {40, 256, 128}, type)});
    for (const int bits : {8, 4, 3, 2, 1}) {
      const std::string hqq_name = "hqq " + std::to_string(bits) + " " + name;
      list.push_back({hqq_name, hqq(bits, 1, 36, 128, 64, type, WeightType::f32)});
      list.push_back({hqq_name + " axis 0", hqq(bits, 0, 36, 100, 40, type, type)});
    }
    for (const int bits : {4, 2})
      list.push_back(
          {"quanto int" + std::to_string(bits) + " " + name, quanto(bits, 33, 192, 96, type)});
    list.push_back({"torchao pairs " + name,
                    torchao(AoCodes::int4_pairs, 33, 128, 32, type, WeightType::bf16)});
    list.push_back({"torchao tiles " + name,
                    torchao(AoCodes::int4_tiles, 13, 200, 40, WeightType::bf16, type)});
    list.push_back(
        {"torchao int8 " + name, torchao(AoCodes::int8, 7, 100, 50, WeightType::f32, type)});
  }
  return list;
}

// Without roundings, so that the bounds are those of the sums.
std::vector<Named> weights_to_multiply() {
  constexpr WeightType kFloat = WeightType::f32;
  return {{"gptq 4", gptq({4, false, true}, {160, 256, 128}, kFloat)},
          {"gptq 3", gptq({3, false, true}, {64, 1120, 1120}, kFloat)},
          {"gptq 8 planar", gptq({8, true, false}, {32, 96, 32}, kFloat)},
          {"gptq 8", gptq({8, false, true}, {160, 1248, 96}, kFloat)},
          {"awq gemm", awq(AwqLayout::gemm, {136, 256, 64}, kFloat)},
          {"awq gemv_fast", awq(AwqLayout::gemv_fast, {16, 128, 64}, kFloat)},
          {"hqq 4", hqq(4, 1, 36, 192, 64, kFloat, kFloat)},
          {"hqq 8", hqq(8, 1, 12, 264, 24, kFloat, kFloat)},
          {"quanto int4", quanto(4, 130, 256, 128, kFloat)},
          {"quanto int2", quanto(2, 9, 96, 32, kFloat)},
          {"torchao pairs", torchao(AoCodes::int4_pairs, 33, 1152, 128, kFloat, kFloat)},
          {"torchao int8", torchao(AoCodes::int8, 21, 200, 200, kFloat, kFloat)}};
}

}  // namespace

std::vector<Check> grouped_checks(CheckSize size) {
  std::vector<Check> checks;
  for (const Named& named : weights_to_decode())
    for (const WeightType out_type : {WeightType::f32, WeightType::f16, WeightType::bf16})
      checks.push_back({named.name + " dequantize to " + kernels::name_of(out_type),
                        [=] { return check_dequantize(named.weight, out_type); }});
  for (const GptqFormat format : {GptqFormat{4, false, true}, GptqFormat{3, true, false}})
    checks.push_back({"gptq " + std::to_string(format.bits) + " dequantize with desc_act", [=] {
                        static std::vector<int32_t> group_of(160);
                        for (size_t i = 0; i < 160; ++i)
                          group_of[i] = static_cast<int32_t>(i * 7 % 5);
                        return check_dequantize(
                            gptq(format, {32, 160, 32}, WeightType::f16, group_of.data()),
                            WeightType::f16, group_of);
                      }});
  for (const int bits : {4, 2})
    for (const WeightType type : {WeightType::f32, WeightType::f16, WeightType::bf16})
      for (const bool tinygemm : {false, true})
        if (!tinygemm || (bits == 4 && type == WeightType::bf16))
          checks.push_back({"quanto quantize groups " + std::string(kernels::name_of(type)),
                            [=] { return check_quantize_quanto(bits, type, 23, 128, tinygemm); }});
  std::vector<Named> products = weights_to_multiply();
  if (size == CheckSize::large)
    products.push_back(
        {"gptq 4 large", gptq({4, false, true}, {4096, 4096, 128}, WeightType::f32)});
  for (const Named& named : products)
    for (const WeightType activation : {WeightType::f16, WeightType::bf16})
      for (const uint32_t m : {1u, 4u, 7u, 17u, 150u})
        checks.push_back({named.name + " linear " + kernels::name_of(activation) + " " +
                              std::to_string(m) + " rows",
                          [=] { return check_linear(named.weight, activation, m); }, m >= 128});
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
