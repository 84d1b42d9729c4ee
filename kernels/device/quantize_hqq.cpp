// HQQ's encoder. Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/quantize_hqq.h"

#include "kernels/device/grouped.h"
#include "kernels/device/host_runtime.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

dim3 grid_of(uint64_t threads) {
  return dim3(static_cast<unsigned>((threads + kGroupThreads - 1) / kGroupThreads));
}

template <class Element>
const char* launch_fit(const HqqFit& fit, const Element* weight, uint32_t tasks, int iterations,
                       void* stream) {
  const dim3 block(kGroupThreads), of_groups = grid_of(uint64_t{fit.groups} * kHqqLanes);
  if (const char* error =
          PRECIS_LAUNCH((hqq_start_kernel<Element>), of_groups, block, 0, stream, fit, weight))
    return error;
  for (int i = 0; i < iterations; ++i) {
    if (const char* error =
            PRECIS_LAUNCH((hqq_errors_kernel<Element>), grid_of(uint64_t{tasks} * kHqqLanes), block,
                          0, stream, fit, weight, tasks))
      return error;
    if (const char* error =
            PRECIS_LAUNCH((hqq_zeros_kernel<Element>), of_groups, block, 0, stream, fit, weight))
      return error;
    if (const char* error = PRECIS_LAUNCH((hqq_decide_kernel<Element>), dim3(1), dim3(kWarp), 0,
                                          stream, fit, weight, tasks))
      return error;
  }
  return nullptr;
}

template <class Word, class Element>
const char* launch_pack(const HqqFit& fit, const Element* weight, const HqqGrid& grid, void* packed,
                        void* stream) {
  return PRECIS_LAUNCH((hqq_pack_kernel<Word, Element>), grid_of(grid.packed_rows() * grid.columns),
                       dim3(kGroupThreads), 0, stream, fit, weight,
                       static_cast<uint32_t>(grid.packed_rows()),
                       static_cast<uint32_t>(grid.pieces()), static_cast<uint32_t>(grid.bits),
                       static_cast<Word*>(packed));
}

}  // namespace

const char* quantize_hqq(WeightType type, const void* matrix, const HqqEncoding& encoding,
                         void* packed, void* scales, void* zeros, bool* exact, void* stream) {
  const HqqGrid& grid = encoding.grid;
  if (grid.axis != 1 || grid.columns % kHqqLanes != 0)
    return "hqq: groups are neighbours of a row, in multiples of 8";
  if (grid.rows * grid.columns >= uint64_t{1} << 31) return "hqq: sizes are below 2^31";
  *exact = true;
  if (grid.rows == 0) return nullptr;
  const uint64_t tasks = (grid.rows + encoding.together - 1) / encoding.together;
  const StreamMemory memory(
      tasks * sizeof(double) + sizeof(HqqState) + grid.rows * 2 * sizeof(float), stream);
  if (memory.error() != nullptr) return memory.error();
  auto* errors = static_cast<double*>(memory.data());
  auto* state = reinterpret_cast<HqqState*>(errors + tasks);
  auto* numbers = reinterpret_cast<float*>(state + 1);
  const HqqFit fit{static_cast<uint32_t>(grid.rows),
                   static_cast<uint32_t>(grid.columns),
                   static_cast<uint32_t>(encoding.together),
                   static_cast<float>(encoding.levels),
                   encoding.round_zero,
                   numbers,
                   numbers + grid.rows,
                   errors,
                   state};
  const char* failed = with_element(type, [&](auto element) -> const char* {
    using Element = decltype(element);
    const auto* weight = static_cast<const Element*>(matrix);
    if (const char* error =
            launch_fit(fit, weight, static_cast<uint32_t>(tasks), encoding.iterations, stream))
      return error;
    if (const char* error =
            PRECIS_LAUNCH((hqq_store_kernel<Element>), grid_of(grid.rows), dim3(kGroupThreads), 0,
                          stream, fit, static_cast<Element*>(scales), static_cast<Element*>(zeros)))
      return error;
    return grid.bits == 3 ? launch_pack<uint32_t>(fit, weight, grid, packed, stream)
                          : launch_pack<uint8_t>(fit, weight, grid, packed, stream);
  });
  if (failed != nullptr || encoding.iterations == 0) return failed;
  HqqState found;
  if (const char* error = read_device(&found, state, sizeof found, stream)) return error;
  *exact = found.beyond == 0;
  return nullptr;
}

}  // namespace precis::kernels::PRECIS_DEVICE
