// Compiled by nvcc.
#include "kernels/device/runtime.h"

#include "kernels/selftest/device_memory.h"

#include "kernels/selftest/speed_cuda.h"

#include <algorithm>
#include <functional>
#include <stdexcept>

#include "kernels/device/bitsandbytes.h"
#include "kernels/device/float8.h"
#include "kernels/device/formats/grouped.h"
#include "kernels/device/grouped.h"
#include "kernels/device/host_runtime.h"
#include "kernels/device/matrix.h"
#include "kernels/device/wgmma_tile.h"

namespace precis::kernels::device_cuda {
namespace {

void require(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

// Microseconds of one call: the least of ten groups, each long enough for the clock.
double microseconds_of(const std::function<void()>& call) {
  cudaEvent_t begin, end;
  require(cudaEventCreate(&begin));
  require(cudaEventCreate(&end));
  const auto group = [&](int calls) {
    require(cudaEventRecord(begin));
    for (int i = 0; i < calls; ++i) call();
    require(cudaEventRecord(end));
    require(cudaEventSynchronize(end));
    float milliseconds = 0;
    require(cudaEventElapsedTime(&milliseconds, begin, end));
    return 1000.0 * static_cast<double>(milliseconds);
  };
  group(3);
  const int calls = std::clamp(static_cast<int>(5000.0 / (group(1) + 0.1)), 3, 1000);
  double least = group(calls);
  for (int i = 0; i < 9; ++i) least = std::min(least, group(calls));
  require(cudaEventDestroy(begin));
  require(cudaEventDestroy(end));
  return least / calls;
}

void require_launched(const char* error) {
  if (error != nullptr) throw std::runtime_error(error);
}

constexpr int kPeakSteps = 4096;

// Nothing but matrix products from registers, eight of them independent.
template <class Element, class T>
__global__ void __launch_bounds__(256) peak_kernel(T* out) {
  NvidiaUnit::Operand a{{threadIdx.x, 1, 2, 3}}, b{{4, threadIdx.x, 6, 7}};
  NvidiaUnit::Sum<T> sums[8] = {};
  for (int step = 0; step < kPeakSteps / 8; ++step) {
    PRECIS_UNROLL
    for (int i = 0; i < 8; ++i) NvidiaUnit::multiply<Element>(sums[i], a, b);
  }
  T total = 0;
  for (int i = 0; i < 8; ++i)
    for (int j = 0; j < 8; ++j) total += sums[i].values[j];
  out[blockIdx.x * 256 + threadIdx.x] = total;
}

// Tera operations a second, a multiplication and an addition being two.
template <class Element, class T>
double peak(int processors) {
  const int blocks = 4 * processors;
  const DeviceArray<T> out(static_cast<size_t>(blocks) * 256);
  const double time = microseconds_of([&] {
    require_launched(PRECIS_LAUNCH((peak_kernel<Element, T>), dim3(static_cast<unsigned>(blocks)),
                                   dim3(256), 0, nullptr, out.data()));
  });
  const double k = 32.0 / sizeof(Element);
  return 2.0 * blocks * 8 * kPeakSteps * 16 * 16 * k / time * 1e-6;
}

// The same over wgmma, from tiles in shared memory.
template <class Element, class T>
__global__ void __launch_bounds__(kWgmmaThreads, 1) wgmma_peak_kernel(T* out) {
  PRECIS_DYNAMIC_SHARED(unaligned);
  unsigned char* a = unaligned + bytes_to_swizzle(unaligned);
  unsigned char* b = a + 256 * 128;
  for (uint32_t i = threadIdx.x; i < (256 + 128) * 8; i += kWgmmaThreads)
    store_vector(a + 16 * i, Words4{{i, 1, 2, 3}});
  wgmma_publish();
  __syncthreads();
  WarpgroupSum<T> sums[2];
  for (int step = 0; step < kPeakSteps; ++step) {
    start_products<Element>(sums, a, b, step > 0);
    wgmma_wait<1>();
  }
  wgmma_wait<0>();
  T total = 0;
  for (int i = 0; i < 64; ++i) total += sums[0].values[i] + sums[1].values[i];
  out[blockIdx.x * kWgmmaThreads + threadIdx.x] = total;
}

template <class Element, class T>
double wgmma_peak(int processors) {
  const DeviceArray<T> out(static_cast<size_t>(processors) * kWgmmaThreads);
  const double time = microseconds_of([&] {
    require_launched(PRECIS_LAUNCH((wgmma_peak_kernel<Element, T>),
                                   dim3(static_cast<unsigned>(processors)), dim3(kWgmmaThreads),
                                   (256 + 128) * 128 + kSwizzleBytes, nullptr, out.data()));
  });
  return 2.0 * processors * kPeakSteps * 256 * 128 * (128.0 / sizeof(Element)) / time * 1e-6;
}

struct Peaks {
  double copy;        // GB/s, read and written together
  double half, int8;  // by mma.sync
  double wgmma_half = 0, wgmma_int8 = 0, wgmma_float8 = 0;

  // Of the fastest instruction for them.
  double of_half() const { return std::max(half, wgmma_half); }
  double of_int8() const { return std::max(int8, wgmma_int8); }
  double of_float8() const { return std::max(half, wgmma_float8); }
};

Peaks measure_peaks() {
  cudaDeviceProp properties;
  require(cudaGetDeviceProperties(&properties, 0));
  constexpr size_t kBytes = size_t{1} << 30;
  const DeviceArray<uint8_t> from(kBytes), to(kBytes);
  const double copy = microseconds_of(
      [&] { require(cudaMemcpyAsync(to.data(), from.data(), kBytes, cudaMemcpyDeviceToDevice)); });
  const int processors = properties.multiProcessorCount;
  Peaks peaks{2.0 * kBytes / copy * 1e-3, peak<Half, float>(processors),
              peak<int8_t, int>(processors)};
  if (wgmma_available()) {
    peaks.wgmma_half = wgmma_peak<Half, float>(processors);
    peaks.wgmma_int8 = wgmma_peak<int8_t, int>(processors);
    peaks.wgmma_float8 = wgmma_peak<E4M3, float>(processors);
  }
  return peaks;
}

class Measurements {
 public:
  Peaks peaks = measure_peaks();
  std::vector<Speed> speeds;

  void bound_by_memory(const std::string& name, double bytes, const std::function<void()>& call) {
    const double time = microseconds_of(call), speed = bytes / time * 1e-3;
    speeds.push_back({name, time, speed, speed / peaks.copy, 0, 0});
  }
  void bound_by_products(const std::string& name, double products, double peak,
                         const std::function<void()>& call) {
    const double time = microseconds_of(call), speed = 2 * products / time * 1e-6;
    speeds.push_back({name, time, 0, 0, speed, speed / peak});
  }
};

// A weight larger than the caches, so that each call fetches it from memory.
constexpr uint32_t kRows = 16384, kColumns = 8192;
constexpr uint64_t kWeights = uint64_t{kRows} * kColumns;

void measure_four_bit(Measurements& to) {
  const DeviceArray<uint8_t> packed(kWeights / 2);
  const DeviceArray<float> absmax(kWeights / 64);
  const DeviceArray<uint16_t> wide(kWeights), x(4096 * kColumns), y(4096 * kRows);
  require(cudaMemset(packed.data(), 0x5a, kWeights / 2));
  require(cudaMemset(absmax.data(), 0, kWeights / 16));
  require(cudaMemset(x.data(), 0, 4096 * kColumns * 2));
  require(cudaMemset(wide.data(), 0, kWeights * 2));
  const FourBitTensor weight{FourBitType::nf4, WeightType::bf16, kRows, kColumns, 64,
                             packed.data(),    absmax.data()};
  const double stored = static_cast<double>(kWeights) * 0.5625;
  const double decoded = static_cast<double>(kWeights) * 2;
  to.bound_by_memory("nf4 dequantize to bf16", stored + decoded, [&] {
    require_launched(dequantize_4bit(weight, WeightType::bf16, wide.data(), nullptr));
  });
  to.bound_by_memory("nf4 quantize from bf16", stored + decoded, [&] {
    require_launched(quantize_4bit(FourBitType::nf4, WeightType::bf16, wide.data(), kWeights, 64,
                                   packed.data(), absmax.data(), nullptr));
  });
  for (const uint32_t m : {1u, 4u, 8u})
    to.bound_by_memory("nf4 x bf16, " + std::to_string(m) + " rows", stored, [&] {
      require_launched(
          linear_4bit(weight, WeightType::bf16, x.data(), nullptr, y.data(), m, nullptr));
    });
  for (const uint32_t m : {16u, 64u, 256u, 1024u, 4096u})
    to.bound_by_products("nf4 x bf16, " + std::to_string(m) + " rows",
                         static_cast<double>(kWeights) * m, to.peaks.of_half(), [&] {
                           require_launched(linear_4bit(weight, WeightType::bf16, x.data(), nullptr,
                                                        y.data(), m, nullptr));
                         });
}

void measure_int8(Measurements& to) {
  const DeviceArray<int8_t> codes(kWeights), x(4096 * kColumns);
  const DeviceArray<float> scb(kRows), x_absmax(4096);
  const DeviceArray<uint16_t> wide(kWeights), y(4096 * kRows);
  require(cudaMemset(codes.data(), 1, kWeights));
  require(cudaMemset(x.data(), 1, 4096 * kColumns));
  require(cudaMemset(scb.data(), 0, kRows * 4));
  require(cudaMemset(x_absmax.data(), 0, 4096 * 4));
  require(cudaMemset(wide.data(), 0, kWeights * 2));
  const Int8Tensor weight{kRows, kColumns, codes.data(), scb.data()};
  const double bytes = static_cast<double>(kWeights);
  to.bound_by_memory("int8 dequantize to f16", 3 * bytes, [&] {
    require_launched(dequantize_int8_rows(weight, WeightType::f16, wide.data(), nullptr));
  });
  to.bound_by_memory("int8 x f16, 1 row", bytes, [&] {
    require_launched(
        linear_int8(weight, WeightType::f16, wide.data(), nullptr, y.data(), 1, nullptr));
  });
  for (const uint32_t m : {64u, 1024u, 4096u})
    to.bound_by_products(
        "int8 x int8, " + std::to_string(m) + " rows", bytes * m, to.peaks.of_int8(), [&] {
          require_launched(linear_int8_int8(weight, x.data(), x_absmax.data(), WeightType::f16,
                                            nullptr, y.data(), m, nullptr));
        });
  constexpr uint32_t kMany = 4096;
  const DeviceArray<uint8_t> workspace(llm_int8_workspace(kMany, kColumns));
  to.bound_by_products("LLM.int8() x f16, 4096 rows", bytes * kMany, to.peaks.of_int8(), [&] {
    require_launched(linear_llm_int8(weight, 6.0f, WeightType::f16, wide.data(), nullptr, y.data(),
                                     kMany, workspace.data(), nullptr));
  });
}

void measure_float8(Measurements& to) {
  const DeviceArray<uint8_t> codes(kWeights), x(4096 * kColumns);
  const DeviceArray<float> scales(kWeights / (128 * 128)), x_scales(4096 * kColumns / 128);
  const DeviceArray<float> row_scales(kRows);
  const DeviceArray<uint16_t> wide(kWeights), y(4096 * kRows);
  require(cudaMemset(row_scales.data(), 0, kRows * 4));
  require(cudaMemset(codes.data(), 0x35, kWeights));
  require(cudaMemset(x.data(), 0x35, 4096 * kColumns));
  require(cudaMemset(scales.data(), 0, kWeights / (128 * 128) * 4));
  require(cudaMemset(x_scales.data(), 0, 4096 * kColumns / 128 * 4));
  require(cudaMemset(wide.data(), 0, kWeights * 2));
  const Float8Tensor weight{Float8Type::e4m3fn, kRows,          kColumns,
                            codes.data(),       {128, 128},     Fp8ScaleType::f32,
                            scales.data(),      WeightType::f32};
  const double bytes = static_cast<double>(kWeights);
  Float8Tensor by_rows = weight;
  by_rows.tile = {1, 0};
  by_rows.scales = row_scales.data();
  to.bound_by_memory("float8 dequantize to bf16", 3 * bytes, [&] {
    require_launched(dequantize_float8(weight, WeightType::bf16, wide.data(), nullptr));
  });
  to.bound_by_memory("float8 quantize from bf16", 3 * bytes, [&] {
    require_launched(quantize_float8_tiles(WeightType::bf16, wide.data(), kRows, kColumns,
                                           {128, 128}, Fp8ScaleType::f32, codes.data(),
                                           scales.data(), nullptr, nullptr));
  });
  to.bound_by_memory("float8 x bf16, 1 row", bytes, [&] {
    require_launched(
        linear_float8(weight, WeightType::bf16, wide.data(), nullptr, y.data(), 1, nullptr));
  });
  for (const uint32_t m : {64u, 1024u, 4096u}) {
    const std::string rows = std::to_string(m) + " rows";
    to.bound_by_products("float8 x bf16, " + rows, bytes * m, to.peaks.of_half(), [&] {
      require_launched(
          linear_float8(weight, WeightType::bf16, wide.data(), nullptr, y.data(), m, nullptr));
    });
    to.bound_by_products("float8 x float8, " + rows, bytes * m, to.peaks.of_float8(), [&] {
      require_launched(linear_float8_float8(weight, {x.data(), x_scales.data(), 128},
                                            WeightType::bf16, nullptr, y.data(), m, nullptr));
    });
    to.bound_by_products("float8 x float8 by rows, " + rows, bytes * m, to.peaks.of_float8(), [&] {
      require_launched(linear_float8_float8(by_rows, {x.data(), x_scales.data(), 0},
                                            WeightType::bf16, nullptr, y.data(), m, nullptr));
    });
  }
}

void measure_grouped(Measurements& to) {
  const DeviceArray<uint32_t> codes(kWeights / 8);
  const DeviceArray<float> scales(kWeights / 128 * 2);
  const DeviceArray<uint16_t> x(4096 * kColumns), y(4096 * kRows);
  require(cudaMemset(codes.data(), 0x5a, kWeights / 2));
  require(cudaMemset(scales.data(), 0, kWeights / 16));
  require(cudaMemset(x.data(), 0, 4096 * kColumns * 2));
  GroupedRows weight{};
  weight.rows = kRows;
  weight.columns = kColumns;
  weight.group_size = 128;
  weight.bits = 4;
  weight.rounding = WeightType::f16;
  weight.inner = WeightType::f32;
  weight.codes = codes.data();
  weight.scales = scales.data();
  const double stored = static_cast<double>(kWeights) * 0.5625;
  for (const auto& [stand, where] :
       {std::pair{CodesStand::rows, "in rows"}, std::pair{CodesStand::columns, "as GPTQ's"},
        std::pair{CodesStand::columns_of_words, "as AWQ's"}}) {
    weight.stand = stand;
    const std::string name = std::string("int4 ") + where + " x bf16, ";
    for (const uint32_t m : {1u, 8u})
      to.bound_by_memory(name + std::to_string(m) + " rows", stored, [&] {
        require_launched(
            linear_groups(weight, WeightType::bf16, x.data(), nullptr, y.data(), m, nullptr));
      });
    for (const uint32_t m : {64u, 1024u, 4096u})
      to.bound_by_products(name + std::to_string(m) + " rows", static_cast<double>(kWeights) * m,
                           to.peaks.of_half(), [&] {
                             require_launched(linear_groups(weight, WeightType::bf16, x.data(),
                                                            nullptr, y.data(), m, nullptr));
                           });
  }
}

}  // namespace

std::vector<Speed> measure_speeds() {
  Measurements measurements;
  const Peaks& peaks = measurements.peaks;
  measurements.speeds = {{"copy", 0, peaks.copy, 1, 0, 0},
                         {"mma.sync f16", 0, 0, 0, peaks.half, 1},
                         {"mma.sync int8", 0, 0, 0, peaks.int8, 1}};
  if (wgmma_available())
    measurements.speeds.insert(measurements.speeds.end(),
                               {{"wgmma f16", 0, 0, 0, peaks.wgmma_half, 1},
                                {"wgmma int8", 0, 0, 0, peaks.wgmma_int8, 1},
                                {"wgmma e4m3", 0, 0, 0, peaks.wgmma_float8, 1}});
  measure_four_bit(measurements);
  measure_int8(measurements);
  measure_float8(measurements);
  measure_grouped(measurements);
  return measurements.speeds;
}

}  // namespace precis::kernels::device_cuda
