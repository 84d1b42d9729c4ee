// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/sdnq.h"

#include "kernels/device/dequantize.h"
#include "kernels/device/dequantize_elements.h"
#include "kernels/device/formats/dense.h"
#include "kernels/device/formats/low_rank.h"
#include "kernels/device/formats/sdnq_runs.h"
#include "kernels/device/low_rank.h"
#include "kernels/device/rotate.h"
#include "kernels/device/rotated.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {

// Kinds of numbers beside the codes leave no registers for a second block.
template <bool Codebook>
inline constexpr int kGemmBlocks<SdnqRuns<Codebook>> = 1;
template <bool Codebook, class Element>
inline constexpr int kGemmBlocks<WithLowRank<SdnqRuns<Codebook>, Element>> = 1;

namespace {

const char* check(const SdnqTensor& w) {
  if (w.groups == 0 || w.columns % w.groups != 0) return "sdnq: groups divide the columns";
  return w.number.bits >= 1 && w.number.bits <= 8 ? nullptr : "sdnq: codes have 1 to 8 bits";
}

bool runs_share(const SdnqTensor& w) {
  return w.columns % kRun == 0 && w.columns / w.groups % kRun == 0;
}

// body(Format{}).
template <class Body>
const char* with_runs(const SdnqTensor& weight, Body body) {
  return weight.levels > 1 ? body(SdnqRuns<true>{}) : body(SdnqRuns<false>{});
}

}  // namespace

const char* dequantize_sdnq(const SdnqTensor& weight, WeightType out_type, void* out,
                            void* stream) {
  if (const char* error = check(weight)) return error;
  return with_element(out_type, [&](auto element) {
    auto* to = static_cast<decltype(element)*>(out);
    if (weight.rotation.size != 0)
      return launch_rotate<SdnqElements>(weight, weight.rotation, to, stream);
    if (weight.rank != 0 || !runs_share(weight))
      return launch_dequantize_elements<SdnqElements>(weight, to, stream);
    return with_runs(weight, [&](auto format) {
      return launch_dequantize<decltype(format)>(weight, to, stream);
    });
  });
}

const char* check_sdnq_product(const SdnqTensor& weight) {
  if (const char* error = check(weight)) return error;
  return runs_share(weight) ? nullptr
                            : "products on a device: 8 neighbours of a row have one scale";
}

const char* lay_out_low_rank(const SdnqTensor& weight, WeightType activation,
                             const SdnqLowRank& part, void* stream) {
  return with_activation(activation, [&](auto element) {
    using Element = decltype(element);
    return launch_lay_out_low_rank<Element>({weight.rows, weight.columns, weight.rank,
                                             padded_rank(weight.rank), weight.up, weight.down},
                                            static_cast<Element*>(part.down),
                                            static_cast<Element*>(part.up), stream);
  });
}

const char* linear_sdnq(const SdnqTensor& weight, const SdnqLowRank& part, WeightType activation,
                        const void* x, const void* bias, void* y, uint32_t m, void* workspace,
                        void* stream) {
  if (const char* error = check_sdnq_product(weight)) return error;
  const uint32_t columns = weight.columns, low_columns = padded_rank(weight.rank);
  auto* room = static_cast<uint16_t*>(workspace);
  if (weight.rotation.size != 0) {
    if (const char* error =
            rotate_activations(activation, x, m, columns, weight.rotation, room, stream))
      return error;
    x = room;
    room += uint64_t{m} * columns;
  }
  return with_runs(weight, [&](auto format) -> const char* {
    using Format = decltype(format);
    if (weight.rank == 0) return launch_linear<Format>(weight, activation, x, bias, y, m, stream);
    if (m == 0 || weight.rows == 0) return nullptr;
    return with_activation(activation, [&](auto element) -> const char* {
      using Element = decltype(element);
      using Extended = WithLowRank<Format, Element>;
      uint16_t* low = room + uint64_t{m} * (columns + low_columns);
      if (const char* error = launch_linear_of<Dense<Element>, Element>(
              {low_columns, columns, static_cast<const Element*>(part.down)},
              static_cast<const Element*>(x), nullptr, reinterpret_cast<Element*>(low), m, stream))
        return error;
      if (const char* error = launch_append_columns(x, low, columns, low_columns, m, room, stream))
        return error;
      return launch_linear_of<Extended, Element>(
          {weight.rows, columns + low_columns, weight, static_cast<const Element*>(part.up)},
          reinterpret_cast<const Element*>(room), static_cast<const Element*>(bias),
          static_cast<Element*>(y), m, stream);
    });
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
