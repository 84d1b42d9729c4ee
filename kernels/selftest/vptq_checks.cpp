// VPTQ's vectors: every index names a centroid, so the checks take random ones. Compiled by every
// back end.
#include "kernels/selftest/device_memory.h"

#include "kernels/device/vptq.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

struct Form {
  std::string name;
  uint64_t rows, columns, vector, groups;
  int bits, residual_bits = 0;
  uint64_t outliers = 0, outlier_vector = 4;
  bool permuted = false, norm = false;
};
constexpr uint64_t kOutlierCentroids = 9;

struct Stored {
  Form form;
  WeightType type;
  std::vector<uint32_t> indices, places;
  std::vector<uint16_t> outlier_indices;
  std::vector<uint8_t> centroids, residual, outlier_centroids, scales, biases;

  Stored(const Form& of, WeightType of_type) : form(of), type(of_type) {
    Random random(form.rows + form.columns + static_cast<uint64_t>(form.bits));
    const VptqWeight shape =
        weight(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
    indices.resize(form.groups * shape.vectors() * shape.words());
    for (uint32_t& word : indices) word = random.bits();
    const auto floats = [&](uint64_t count) { return encode(type, normal_values(random, count)); };
    centroids = floats((form.groups << form.bits) * form.vector);
    if (form.residual_bits != 0)
      residual = floats((form.groups << form.residual_bits) * form.vector);
    if (form.norm) {
      scales = floats(form.columns);
      biases = floats(form.columns);
    }
    for (uint32_t i = 0; form.permuted && i < form.columns; ++i)
      places.push_back(static_cast<uint32_t>((i * 7 + 3) % form.columns));
    if (form.outliers == 0) return;
    const uint64_t vectors = (form.rows + form.outlier_vector - 1) / form.outlier_vector;
    for (uint64_t i = 0; i < vectors * form.outliers; ++i)
      outlier_indices.push_back(static_cast<uint16_t>((random.bits() >> 9) % kOutlierCentroids));
    outlier_centroids = floats(kOutlierCentroids * form.outlier_vector);
  }
  VptqWeight weight(const uint32_t* of_indices, const void* of_centroids, const void* of_residual,
                    const uint16_t* of_outliers, const void* of_outlier_centroids,
                    const uint32_t* of_places, const void* of_scales, const void* of_biases) const {
    return {form.rows,
            form.columns,
            type,
            form.vector,
            form.groups,
            (form.columns - form.outliers) / form.groups,
            form.bits,
            form.residual_bits,
            of_indices,
            of_centroids,
            of_residual,
            form.outliers,
            form.outlier_vector,
            of_outliers,
            of_outlier_centroids,
            form.permuted ? of_places : nullptr,
            form.norm ? of_scales : nullptr,
            form.norm ? of_biases : nullptr};
  }
  std::vector<uint8_t> values(WeightType out_type) const {
    std::vector<uint8_t> out(form.rows * form.columns * bytes_of(out_type));
    vptq_kernels(Isa::baseline)
        .dequantize(
            weight(indices.data(), centroids.data(), residual.data(), outlier_indices.data(),
                   outlier_centroids.data(), places.data(), scales.data(), biases.data()),
            0, form.rows, out_type, out.data());
    return out;
  }
};

struct OnDevice {
  DeviceArray<uint32_t> indices, places;
  DeviceArray<uint16_t> outlier_indices;
  DeviceArray<uint8_t> centroids, residual, outlier_centroids, scales, biases;
  VptqWeight weight;
  explicit OnDevice(const Stored& stored)
      : indices(stored.indices),
        places(stored.places, Content::places),
        outlier_indices(stored.outlier_indices, Content::places),
        centroids(stored.centroids),
        residual(stored.residual),
        outlier_centroids(stored.outlier_centroids),
        scales(stored.scales),
        biases(stored.biases),
        weight(stored.weight(indices.data(), centroids.data(), residual.data(),
                             outlier_indices.data(), outlier_centroids.data(), places.data(),
                             scales.data(), biases.data())) {}
};

std::string check_dequantize(const Form& form, WeightType type, WeightType out_type) {
  const Stored stored(form, type);
  const OnDevice device(stored);
  const DeviceArray<uint8_t> out(form.rows * form.columns * bytes_of(out_type));
  if (const char* error = dequantize_vptq(device.weight, out_type, out.data(), nullptr))
    return error;
  return compare_bits(out_type, stored.values(out_type), out.values());
}

// Stored in float32, so that the bounds are those of the sums.
std::string check_linear(const Form& form, WeightType activation, uint32_t m) {
  const Stored stored(form, WeightType::f32);
  const OnDevice device(stored);
  Random random(m + form.columns);
  LinearCase linear{m,
                    static_cast<uint32_t>(form.rows),
                    static_cast<uint32_t>(form.columns),
                    activation,
                    decode(WeightType::f32, stored.values(WeightType::f32)),
                    {},
                    {}};
  if (m > 8) linear.weight = decode(activation, encode(activation, linear.weight));
  const std::vector<uint8_t> x = encode(activation, normal_values(random, m * form.columns));
  linear.x = decode(activation, x);
  const std::vector<uint8_t> bias = encode(activation, normal_values(random, form.rows));
  linear.bias = decode(activation, bias);
  const DeviceArray<uint8_t> device_x(x), device_bias(bias), y(m * form.rows * 2);
  if (const char* error = linear_vptq(device.weight, activation, device_x.data(),
                                      device_bias.data(), y.data(), m, nullptr))
    return error;
  const auto columns = static_cast<double>(form.columns);
  return compare_linear(linear, m <= 8 ? (columns / 32.0 + 16) * 0x1p-24 : columns * 0x1p-23,
                        y.values());
}

}  // namespace

std::vector<Check> vptq_checks(CheckSize size) {
  std::vector<Check> checks;
  const Form decoded[] = {{"of 8", 40, 96, 8, 1, 5},
                          {"residual", 21, 200, 6, 1, 6, 3},
                          {"of 32 bits", 16, 40, 8, 1, 16, 16},
                          {"groups, normalized", 18, 96, 4, 3, 7, 4, 0, 4, false, true},
                          {"outliers", 22, 109, 8, 2, 4, 0, 9, 4, false, true},
                          {"permuted outliers", 24, 75, 12, 1, 5, 5, 3, 6, true, true}};
  constexpr WeightType kTypes[] = {WeightType::f32, WeightType::f16, WeightType::bf16};
  for (const Form& form : decoded)
    for (const WeightType type : kTypes)
      for (const WeightType out : kTypes)
        checks.push_back({"vptq " + form.name + " " + kernels::name_of(type) + " dequantize to " +
                              kernels::name_of(out),
                          [=] { return check_dequantize(form, type, out); }});
  const uint64_t rows = size == CheckSize::large ? 4096 : 130,
                 columns = size == CheckSize::large ? 4096 : 264;
  const Form products[] = {{"residual", rows, columns, 8, 1, 6, 4, 0, 4, false, true},
                           {"permuted outliers", 37, 320, 6, 2, 5, 0, 8, 4, true, true}};
  for (const Form& form : products)
    for (const WeightType activation : {WeightType::f16, WeightType::bf16})
      for (const uint32_t m : {1u, 4u, 7u, 17u, 150u})
        checks.push_back({"vptq " + form.name + " linear " + kernels::name_of(activation) + " " +
                              std::to_string(m) + " rows",
                          [=] { return check_linear(form, activation, m); }, m >= 128});
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
