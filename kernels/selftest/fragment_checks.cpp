// The matrix unit against a plain product, fragment by fragment. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include "kernels/device/matrix.h"
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

// Small whole numbers, so that every sum is exact whatever its order.
template <class Unit, class Element, class T>
std::string check_fragments(uint64_t seed) {
  constexpr int kElements = 32 / static_cast<int>(sizeof(Element));
  Random random(seed);
  std::vector<float> a(16 * kElements), b(16 * kElements);
  for (float& value : a) value = static_cast<float>(static_cast<int>(random.bits() % 33) - 16);
  for (float& value : b) value = static_cast<float>(static_cast<int>(random.bits() % 33) - 16);
  const auto bytes = [](const std::vector<float>& values) {
    if constexpr (sizeof(Element) == 1) {
      std::vector<uint8_t> codes;
      for (const float value : values)
        codes.push_back(static_cast<uint8_t>(static_cast<int8_t>(value)));
      return codes;
    } else {
      return encode(std::is_same_v<Element, Half> ? WeightType::f16 : WeightType::bf16, values);
    }
  };
  std::vector<T> expected(256);
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 16; ++n)
      for (int k = 0; k < kElements; ++k)
        expected[static_cast<size_t>(16 * m + n)] +=
            static_cast<T>(2 * a[static_cast<size_t>(m * kElements + k)] *
                           b[static_cast<size_t>(n * kElements + k)]);
  const DeviceArray<uint8_t> device_a(bytes(a)), device_b(bytes(b));
  const DeviceArray<T> sum(256);
  if (const char* error =
          PRECIS_LAUNCH((fragment_kernel<Unit, Element, T>), dim3(1), dim3(Unit::kLanes), 0,
                        nullptr, device_a.data(), device_b.data(), sum.data()))
    return error;
  return compare_equal("sum", expected, sum.values());
}

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
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
