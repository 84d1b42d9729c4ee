// Compiled once for each instruction set.
#include <cmath>
#include <limits>

#include "kernels/cpu/activations/float8_rules.h"
#include "kernels/cpu/common/output.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

using namespace activations;

template <typename Type, typename Out>
void round_integers(const ActivationRounding& rounding, const typename Type::Stored* x,
                    uint64_t count, typename Out::Stored* out) {
  const Affine affine = integer_affine<Type>(rounding, range_of<Type>(x, count));
  const float inverse = inverse_of<Type>(rounding, affine);
  const bool wide = rounding.rule == ActivationRule::torchao_integer;
  convert<Type, Out>(
      x, count,
      [&](auto number) {
        const auto value = centred_code<Type>(rounding, affine, inverse, number) *
                           all_of<decltype(number)>(affine.scale);
        return wide ? value : round_as<Type>(value);
      },
      out);
}

template <typename Type, typename Out>
void round_float8(const ActivationRounding& rounding, const typename Type::Stored* x,
                  uint64_t count, typename Out::Stored* out) {
  const float scale = float8_scale<Type>(rounding, x, count);
  if (rounding.rule == ActivationRule::compressed_float8) {
    return convert<Type, Out>(
        x, count,
        [&](auto value) {
          const auto divisor = all_of<decltype(value)>(scale);
          return round_as<Type>(e4m3(round_as<Type>(value / divisor)) * divisor);
        },
        out);
  }
  if (scale == 0)
    return convert<Type, Out>(
        x, count, [](auto value) { return value - value; }, out);
  convert<Type, Out>(
      x, count,
      [&](auto value) {
        const auto divisor = all_of<decltype(value)>(scale);
        return e4m3(value / divisor) * divisor;
      },
      out);
}

template <typename Type, typename Out>
void round_bitnet(const typename Type::Stored* x, uint64_t count, typename Out::Stored* out) {
  const float largest = std::max(range_of<Type>(x, count).largest(), Type::round(1e-5f));
  const float factor = Type::round(127.0f / largest);
  for (uint64_t i = 0; i < count; ++i) {
    const float product = Type::round(Type::load(x, i) * factor);
    // In float16 the factor of a row of tiny numbers is infinite; the library's code of its zeros,
    // which are NaN then, is 0.
    const float code = product == product ? round_to_even(bounded(product)) : 0.0f;
    Out::store(out, i, clamp(code, -128.0f, 127.0f) / factor);
  }
}

template <typename Type, typename Out>
void round_group(const ActivationRounding& rounding, const typename Type::Stored* x, uint64_t count,
                 typename Out::Stored* out) {
  switch (rounding.rule) {
    case ActivationRule::torchao_integer:
    case ActivationRule::torchao_fake_integer:
    case ActivationRule::compressed_integer:
      return round_integers<Type, Out>(rounding, x, count, out);
    case ActivationRule::float8:
    case ActivationRule::compressed_float8:
      return round_float8<Type, Out>(rounding, x, count, out);
    case ActivationRule::bitnet:
      return round_bitnet<Type, Out>(x, count, out);
  }
}

void round(const ActivationRounding& rounding, WeightType type, const void* x, uint64_t stride,
           uint64_t rows, uint64_t columns, WeightType out_type, void* out) {
  const uint64_t group = rounding.group == 0 ? columns : rounding.group;
  with_types(type, out_type, [&](auto tag, auto out_tag) {
    using Type = decltype(tag);
    using Out = decltype(out_tag);
    for (uint64_t row = 0; row < rows; ++row) {
      const auto* from = static_cast<const typename Type::Stored*>(x) + row * stride;
      auto* to = static_cast<typename Out::Stored*>(out) + row * columns;
      const bool finite = all_finite<Type>(from, columns);
      for (uint64_t i = 0; i < columns && !finite; ++i)
        Out::store(to, i, std::numeric_limits<float>::quiet_NaN());
      for (uint64_t begin = 0; begin < columns && finite; begin += group)
        round_group<Type, Out>(rounding, from + begin, std::min(group, columns - begin),
                               to + begin);
    }
  });
}

void finish(WeightType type, const float* sums, uint64_t rows, uint64_t columns, const void* bias,
            void* y, uint64_t stride) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* added = static_cast<const typename Type::Stored*>(bias);
    for (uint64_t row = 0; row < rows; ++row) {
      auto* out = static_cast<typename Type::Stored*>(y) + row * stride;
      for (uint64_t i = 0; i < columns; ++i) {
        const float sum = sums[row * columns + i];
        Type::store(out, i, added == nullptr ? sum : sum + Type::load(added, i));
      }
    }
  });
}

}  // namespace

const ActivationKernels& activation_kernels() {
  static constexpr ActivationKernels kernels{round, finish};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
