// Decoding a weight, and how far from the original it is.
#include <cmath>
#include <random>

#include "validate/rules/rule.h"

namespace precis::validate {
namespace {

using Parts = std::vector<std::vector<std::byte>>;

Verdict rows(Subject& subject) {
  return for_each_readable(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    PRECIS_ASSIGN(const Parts parts, encoded_parts(instance, weight));
    const Decoded whole = decode(instance, weight, parts);
    if (!whole.outcome.ok()) return whole.outcome.error();
    const std::size_t row_bytes = weight.param.row_elements() * sizeof(float);
    const int64_t last = weight.param.rows() - 1;
    for (const auto& [begin, count] : std::vector<std::pair<int64_t, int64_t>>{
             {0, 1}, {1, 3}, {5, 0}, {last, 1}, {last / 2, last - last / 2 + 1}}) {
      const Decoded some = decode(instance, weight, parts, {begin, count});
      if (!some.outcome.ok())
        return violation("rows {} to {}: {}", begin, begin + count, some.outcome.error().text());
      const auto from = whole.bytes.begin() + begin * static_cast<int64_t>(row_bytes);
      if (!std::equal(some.bytes.begin(), some.bytes.end(), from))
        return violation("rows {} to {} are others than in the whole weight", begin, begin + count);
    }
    return {};
  });
}

Verdict outputs(Subject& subject) {
  return for_each_readable(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    PRECIS_ASSIGN(const Parts parts, encoded_parts(instance, weight));
    for (const Guard guard : {Guard::behind, Guard::before}) {
      const Decoded decoded = decode(instance, weight, parts, {0, -1, DType::f32, guard});
      if (!decoded.outcome.ok()) return decoded.outcome.error();
      if (!decoded.intact) return violation("it writes outside of the rows it was asked for");
    }
    return {};
  });
}

// float16 and bfloat16 are the float32 result, rounded: at most one unit in the last place off.
Verdict dtypes(Subject& subject) {
  return for_each_readable(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    PRECIS_ASSIGN(const Parts parts, encoded_parts(instance, weight));
    PRECIS_ASSIGN(const std::vector<float> exact, decoded_numbers(instance, weight, parts));
    for (const DType dtype : {DType::f16, DType::bf16}) {
      const Decoded decoded = decode(instance, weight, parts, {0, -1, dtype});
      if (!decoded.outcome.ok()) return decoded.outcome.error();
      const std::vector<float> rounded = load_numbers(dtype, decoded.bytes);
      const float unit = dtype == DType::f16 ? 0x1p-10F : 0x1p-7F;
      const float largest = dtype == DType::f16 ? 65504.0F : 0x1.fep127F;
      for (std::size_t i = 0; i < exact.size(); ++i) {
        if (std::fabs(exact[i]) > largest) continue;  // infinity or the largest
        const float allowed = std::fabs(exact[i]) * unit + 0x1p-24F;
        if (!(std::fabs(rounded[i] - exact[i]) <= allowed))
          return violation("element {} is {} as float32 and {} as {}", i, exact[i], rounded[i],
                           dtype_name(dtype));
      }
    }
    return {};
  });
}

Verdict range(Subject& subject) {
  return for_each_readable(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    PRECIS_ASSIGN(const Parts parts, encoded_parts(instance, weight));
    for (const int64_t begin : {weight.param.rows(), int64_t{-1}, weight.param.rows() - 1}) {
      doing(fmt::format("dequantize of 2 rows from {}, of {}", begin, weight.param.rows()));
      if (decode(instance, weight, parts, {begin, 2}).outcome.ok())
        return violation("it decodes 2 rows from {} of a weight of {}", begin, weight.param.rows());
    }
    return {};
  });
}

// A checkpoint can hold anything: bytes that no encoder writes, tensors that are too short.
Verdict damaged_parts(Subject& subject) {
  return for_each_readable(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    PRECIS_ASSIGN(const Parts parts, encoded_parts(instance, weight));
    std::mt19937 random(7);
    DecodeOptions options;
    options.parts_guard = Guard::behind;
    for (int round = 0; round < 8; ++round) {
      Parts damaged = parts;
      for (auto& part : damaged) {
        for (std::byte& byte : part) byte = static_cast<std::byte>(random());
      }
      doing("dequantize of random bytes");
      (void)decode(instance, weight, damaged, options);
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (weight.plan.parts[i].shape.empty() || parts[i].empty()) continue;
      const int64_t whole = weight.plan.parts[i].shape.front();
      for (const int64_t kept : {int64_t{0}, whole / 2}) {
        Weight shortened = weight;
        Parts damaged = parts;
        shortened.plan.parts[i].shape.front() = kept;
        damaged[i].resize(parts[i].size() / static_cast<std::size_t>(whole) *
                          static_cast<std::size_t>(kept));
        doing(fmt::format("dequantize with {} of {} in the first dimension of '{}'", kept, whole,
                          weight.plan.parts[i].name));
        (void)decode(instance, shortened, damaged, options);
      }
    }
    return {};
  });
}

Verdict error(Subject& subject) {
  if (subject.input() != nullptr) return Verdict::skip("it is about writing, --input is read");
  return for_each_preset(subject, [](const Preset&, const Instance& instance) -> Verdict {
    bool writes = false;
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      const auto weight = fitting_weight(instance, dtype);
      if (!weight) continue;
      writes = true;
      doing("quantize of " + weight->text());
      PRECIS_ASSIGN(const Parts parts, encoded_parts(instance, *weight));
      PRECIS_ASSIGN(const std::vector<float> decoded, decoded_numbers(instance, *weight, parts));
      const double off = relative_error(decoded, weight->values);
      if (!(off < 0.95))
        return violation("the decoded {} is off by {:.3f} of the weight; zeros would be off by 1",
                         weight->text(), off);
    }
    return writes ? Verdict() : Verdict::skip("no preset of it writes weights");
  });
}

Verdict scale(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    const auto error_at = [&](float factor) -> Result<double> {
      Weight scaled = weight;
      for (float& value : scaled.values) value *= factor;
      PRECIS_ASSIGN(const Parts parts, encoded_parts(instance, scaled));
      PRECIS_ASSIGN(const std::vector<float> decoded, decoded_numbers(instance, scaled, parts));
      return relative_error(decoded, scaled.values);
    };
    PRECIS_ASSIGN(const double usual, error_at(1));
    for (const float factor : {0.25F, 64.0F}) {
      PRECIS_ASSIGN(const double off, error_at(factor));
      if (!(off < 1.5 * usual + 0.02))
        return violation(
            "a weight that is off by {:.4f} is off by {:.4f} when it is multiplied "
            "by {}",
            usual, off, factor);
    }
    return {};
  });
}

constexpr Rule kRules[] = {
    {"dequantize.rows", "ext/quantize.h: dequantize",
     "any rows are decoded to what they are in the whole weight", rows},
    {"dequantize.outputs", "C1", "it writes the rows it was asked for and nothing else", outputs},
    {"dequantize.dtypes", "ext/quantize.h: dequantize",
     "float16 and bfloat16 are the float32 result, rounded", dtypes},
    {"dequantize.range", "ext/quantize.h: dequantize", "rows outside of the weight are refused",
     range},
    {"dequantize.damaged-parts", "base.h: PRECIS_DATA_LOSS",
     "parts with any bytes, or too few, end no process", damaged_parts},
    {"numerics.error", "ext/quantize.h", "decoded weights resemble the original, in every dtype",
     error},
    {"numerics.scale", "ext/quantize.h", "small and large weights come back as well as others",
     scale}};

}  // namespace

std::span<const Rule> dequantize_rules() {
  return kRules;
}

}  // namespace precis::validate
