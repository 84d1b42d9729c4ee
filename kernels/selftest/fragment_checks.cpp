// The matrix unit against a plain product, fragment by fragment. Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/selftest/device_memory.h"

#include "kernels/device/matrix.h"
#if !defined(__HIP__)
#include "kernels/device/host_runtime.h"
#include "kernels/device/matrix_wgmma.h"
#endif
#include "kernels/cpu/common/float8.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

constexpr int kPitch = 48;  // bytes between rows in shared memory; operands have 32

// sum[16][16] = a[16 rows][32 bytes] times b of the same form transposed, by one team.
template <class Unit, class Element, class T>
__global__ void __launch_bounds__(64)
    fragment_kernel(const unsigned char* a, const unsigned char* b, T* sum) {
  using Tile = Words4[16 * kPitch / 16];
  PRECIS_SHARED(Tile, tile_a);
  PRECIS_SHARED(Tile, tile_b);
  for (int piece = static_cast<int>(threadIdx.x); piece < 32; piece += Unit::kLanes) {
    const int at = piece / 2 * (kPitch / 16) + piece % 2;
    tile_a[at] = load_vector<Words4>(a + 16 * piece);
    tile_b[at] = load_vector<Words4>(b + 16 * piece);
  }
  __syncthreads();
  typename Unit::Operand left, right;
  Unit::load(left, reinterpret_cast<const unsigned char*>(&tile_a[0]), kPitch);
  Unit::load(right, reinterpret_cast<const unsigned char*>(&tile_b[0]), kPitch);
  typename Unit::template Sum<T> result{};
  Unit::template multiply<Element>(result, left, right);
  Unit::template multiply<Element>(result, left, right);
  constexpr int kValues = sizeof result / sizeof(T);
  for (int i = 0; i < kValues; ++i) sum[16 * Unit::row(i) + Unit::column(i)] = result.values[i];
}

// Numbers that an element type holds exactly.
template <class Element>
std::vector<uint8_t> bytes_of_elements(const std::vector<float>& values) {
  if constexpr (sizeof(Element) == 2)
    return encode(std::is_same_v<Element, Half> ? WeightType::f16 : WeightType::bf16, values);
  std::vector<uint8_t> codes;
  for (const float value : values)
    codes.push_back(std::is_same_v<Element, int8_t>
                        ? static_cast<uint8_t>(static_cast<int8_t>(value))
                        : float_to_float8_e4m3fn(value));
  return codes;
}

// Small whole numbers, so that every sum is exact whatever its order.
template <class Unit, class Element, class T>
std::string check_fragments(uint64_t seed) {
  constexpr int kElements = 32 / static_cast<int>(sizeof(Element));
  Random random(seed);
  std::vector<float> a(16 * kElements), b(16 * kElements);
  for (float& value : a) value = static_cast<float>(static_cast<int>(random.bits() % 33) - 16);
  for (float& value : b) value = static_cast<float>(static_cast<int>(random.bits() % 33) - 16);
  std::vector<T> expected(256);
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 16; ++n)
      for (int k = 0; k < kElements; ++k)
        expected[static_cast<size_t>(16 * m + n)] +=
            static_cast<T>(2 * a[static_cast<size_t>(m * kElements + k)] *
                           b[static_cast<size_t>(n * kElements + k)]);
  const DeviceArray<uint8_t> device_a(bytes_of_elements<Element>(a)),
      device_b(bytes_of_elements<Element>(b));
  const DeviceArray<T> sum(256);
  if (const char* error =
          PRECIS_LAUNCH((fragment_kernel<Unit, Element, T>), dim3(1), dim3(Unit::kLanes), 0,
                        nullptr, device_a.data(), device_b.data(), sum.data()))
    return error;
  return compare_equal("sum", expected, sum.values());
}

#if !defined(__HIP__)

// sum[64][128] = a[64 rows][128 bytes] b[128 rows][128 bytes]^T by one warpgroup: a step of the
// GEMMs', from swizzled tiles. The sums begin as something else, which the first product drops.
template <class Element, class T>
__global__ void __launch_bounds__(kWarpgroup)
    wgmma_kernel(const unsigned char* a, const unsigned char* b, T* sum) {
  PRECIS_DYNAMIC_SHARED(unaligned);
  unsigned char* tile_a = unaligned + bytes_to_swizzle(unaligned);
  unsigned char* tile_b = tile_a + 64 * 128;
  for (uint32_t i = threadIdx.x; i < 128 * 8; i += kWarpgroup) {
    const uint32_t at = swizzled(i / 8, i % 8);
    if (i < 64 * 8) store_vector(tile_a + at, load_vector<Words4>(a + 16 * i));
    store_vector(tile_b + at, load_vector<Words4>(b + 16 * i));
  }
  wgmma_publish();
  __syncthreads();
  using Sum = WgmmaSum<Element>;
  Sum result;
  PRECIS_UNROLL
  for (int i = 0; i < 64; ++i) result.values[i] = static_cast<T>(i + 1);
  wgmma_fence();
  PRECIS_UNROLL
  for (uint64_t k = 0; k < 8; k += 2)
    wgmma_multiply<Element>(result, descriptor_of(tile_a) + k, descriptor_of(tile_b) + k, k > 0);
  wgmma_commit();
  wgmma_wait<0>();
  PRECIS_UNROLL
  for (int i = 0; i < 64; ++i) sum[128 * Sum::row(i) + Sum::column(i)] = result.values[i];
}

// Whole numbers that every element type holds, with sums that are exact in 14 bits.
template <class Element, class T>
std::string check_wgmma(uint64_t seed) {
#if !defined(PRECIS_DEVICE_SIMT)
  if (!wgmma_available()) return "";
#endif
  constexpr size_t kElements = 128 / sizeof(Element);
  Random random(seed);
  const auto small = [&](size_t rows) {
    std::vector<float> values(rows * kElements);
    for (float& value : values)
      value = static_cast<float>(static_cast<int>(random.bits() % 17) - 8);
    return values;
  };
  const std::vector<float> a = small(64), b = small(128);
  std::vector<T> expected(64 * 128);
  for (size_t m = 0; m < 64; ++m)
    for (size_t n = 0; n < 128; ++n)
      for (size_t k = 0; k < kElements; ++k)
        expected[128 * m + n] += static_cast<T>(a[kElements * m + k] * b[kElements * n + k]);
  const DeviceArray<uint8_t> device_a(bytes_of_elements<Element>(a)),
      device_b(bytes_of_elements<Element>(b));
  const DeviceArray<T> sum(64 * 128);
  if (const char* error = PRECIS_LAUNCH((wgmma_kernel<Element, T>), dim3(1), dim3(kWarpgroup),
                                        192 * 128 + kSwizzleBytes, nullptr, device_a.data(),
                                        device_b.data(), sum.data()))
    return error;
  return compare_equal("sum", expected, sum.values());
}

#endif

template <class Unit>
void add_checks(std::vector<Check>& checks, const std::string& unit) {
  checks.push_back({unit + " f16", [] { return check_fragments<Unit, Half, float>(1); }});
  checks.push_back({unit + " bf16", [] { return check_fragments<Unit, BFloat16, float>(2); }});
  checks.push_back({unit + " int8", [] { return check_fragments<Unit, int8_t, int>(3); }});
}

}  // namespace

std::vector<Check> fragment_checks() {
  std::vector<Check> checks;
  add_checks<DeviceMatrixUnit>(checks, "matrix unit");
#if defined(PRECIS_DEVICE_SIMT)
  add_checks<CdnaUnit>(checks, "CDNA matrix unit");
  add_checks<Rdna3Unit>(checks, "RDNA3 matrix unit");
  add_checks<Rdna4Unit>(checks, "RDNA4 matrix unit");
#endif
  add_checks<PlainUnit>(checks, "plain products");
#if !defined(__HIP__)
  checks.push_back({"wgmma f16", [] { return check_wgmma<Half, float>(7); }});
  checks.push_back({"wgmma bf16", [] { return check_wgmma<BFloat16, float>(8); }});
  checks.push_back({"wgmma int8", [] { return check_wgmma<int8_t, int>(9); }});
  checks.push_back({"wgmma e4m3", [] { return check_wgmma<E4M3, float>(10); }});
#endif
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
