// Encoding a weight: what is written where, and of what.
#include <algorithm>
#include <cmath>
#include <limits>

#include "validate/rules/rule.h"

namespace precis::validate {
namespace {

using Parts = std::vector<std::vector<std::byte>>;

// Where `parts` differ from those of a plain call; nothing: nowhere.
Verdict same_parts(const Weight& weight, const Parts& expected, const Parts& parts,
                   std::string_view when) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto at = std::mismatch(parts[i].begin(), parts[i].end(), expected[i].begin());
    if (at.first != parts[i].end())
      return violation("byte {} of '{}' is another one {}", at.first - parts[i].begin(),
                       weight.plan.parts[i].name, when);
  }
  return {};
}

// A call with `options` gives the bytes of a plain one.
Verdict encodes_the_same(const Instance& instance, const Weight& weight,
                         const EncodeOptions& options, std::string_view when) {
  PRECIS_ASSIGN(const Parts expected, encoded_parts(instance, weight));
  Encoded encoded = encode(instance, weight, options);
  PRECIS_TRY(std::move(encoded.outcome));
  return same_parts(weight, expected, encoded.parts, when);
}

Verdict outputs(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    for (const Guard guard : {Guard::behind, Guard::before}) {
      doing(fmt::format("quantize, {} with guards {} outputs and workspace", weight.text(),
                        guard == Guard::behind ? "behind" : "before"));
      EncodeOptions options;
      options.guard = guard;
      const Encoded encoded = encode(instance, weight, options);
      if (!encoded.outcome.ok()) return encoded.outcome.error();
      if (!encoded.intact) return violation("it writes outside of its outputs or its workspace");
    }
    return {};
  });
}

Verdict fills(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) {
    EncodeOptions options;
    options.output_fill = std::byte{0x3c};
    return encodes_the_same(instance, weight, options,
                            "when the memory of the outputs held other bytes before");
  });
}

Verdict workspace(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) {
    EncodeOptions options;
    options.workspace_fill = std::byte{0xff};
    return encodes_the_same(instance, weight, options,
                            "when the memory of the workspace held other bytes before");
  });
}

Verdict deterministic(Subject& subject) {
  return for_each_weight(subject, [&](const Instance& instance, const Weight& weight) -> Verdict {
    PRECIS_ASSIGN(const Parts expected, encoded_parts(instance, weight));
    for (const unsigned threads : {2u, 5u}) {
      subject.host().use_threads(threads);
      auto parts = encoded_parts(instance, weight);
      subject.host().use_threads(1);
      if (!parts.ok()) return parts.error();
      Verdict verdict = same_parts(weight, expected, *parts, fmt::format("on {} threads", threads));
      if (verdict.kind() == Verdict::Kind::failed) return verdict;
    }
    return {};
  });
}

Verdict unaligned(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) {
    EncodeOptions options;
    options.misaligned = true;
    return encodes_the_same(instance, weight, options,
                            "for a weight that is aligned to its element alone");
  });
}

Verdict byte_offset(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) {
    EncodeOptions options;
    options.byte_offset = 3 * weight.element_bytes();
    return encodes_the_same(instance, weight, options, "for a weight with a byte_offset");
  });
}

Verdict strided(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    PRECIS_ASSIGN(const Parts expected, encoded_parts(instance, weight));
    EncodeOptions options;
    options.row_gap = 5;
    const Encoded encoded = encode(instance, weight, options);
    if (encoded.status == PRECIS_UNSUPPORTED) return {};
    if (!encoded.outcome.ok())
      return violation("strides that it does not take must give PRECIS_UNSUPPORTED; it says {}",
                       encoded.outcome.error().text());
    return same_parts(weight, expected, encoded.parts, "for a weight with strided rows");
  });
}

Verdict few_rows(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    for (const int64_t rows : {int64_t{1}, int64_t{0}}) {
      const int64_t columns = weight.param.shape[1];
      const auto count = static_cast<std::size_t>(rows * columns);
      const auto small = planned_weight(
          instance, linear_param(weight.param.dtype, {rows, columns}),
          std::vector<float>(weight.values.begin(),
                             weight.values.begin() + static_cast<std::ptrdiff_t>(count)));
      if (!small.ok()) continue;  // the shape does not fit the method
      doing("quantize of " + small->text());
      const auto parts = encoded_parts(instance, *small);
      if (!parts.ok())
        return violation("{} was planned and is refused: {}", small->text(), parts.error().text());
      const auto decoded = decoded_numbers(instance, *small, *parts);
      if (!decoded.ok())
        return violation("{} cannot be decoded: {}", small->text(), decoded.error().text());
    }
    return {};
  });
}

// Zero weights come back as zeros, or as the NaN of a library that divides by their largest; NaN
// and infinity end no process.
Verdict special_values(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    Weight zeros = weight;
    std::fill(zeros.values.begin(), zeros.values.end(), 0.0F);
    PRECIS_ASSIGN(const Parts parts, encoded_parts(instance, zeros));
    PRECIS_ASSIGN(const std::vector<float> decoded, decoded_numbers(instance, zeros, parts));
    for (const float value : decoded) {
      if (std::fabs(value) >= 1e-3F) return violation("a weight of zeros comes back as {}", value);
    }
    for (const float special :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
          -std::numeric_limits<float>::infinity()}) {
      Weight odd = weight;
      odd.values[7] = odd.values[odd.values.size() / 2] = special;
      doing(fmt::format("quantize of a weight with {}", special));
      const Encoded encoded = encode(instance, odd);
      if (encoded.outcome.ok()) (void)decoded_numbers(instance, odd, encoded.parts);
    }
    return {};
  });
}

Verdict part_count(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    doing("quantize with one part less than planned");
    EncodeOptions options;
    options.leave_out = 1;
    if (!encode(instance, weight, options).outcome.ok()) return {};
    return violation("it takes {} parts where {} were planned", weight.plan.parts.size() - 1,
                     weight.plan.parts.size());
  });
}

constexpr Rule kRules[] = {
    {"quantize.outputs", "C1", "it writes into its outputs and its workspace and nowhere else",
     outputs},
    {"quantize.fills", "C1", "it writes every byte of its outputs", fills},
    {"quantize.workspace", "call.h: workspace", "it expects nothing of the workspace's contents",
     workspace},
    {"quantize.deterministic", "C3", "the result does not depend on the number of threads",
     deterministic},
    {"quantize.unaligned", "C1", "a weight that is aligned to its element alone is taken",
     unaligned},
    {"quantize.byte-offset", "tensor.h: precis_view", "byte_offset is added to data", byte_offset},
    {"quantize.strided", "ext/quantize.h: quantize", "strides are followed or refused", strided},
    {"quantize.few-rows", "ext/quantize.h: quantize",
     "one row, and none, are quantized once planned", few_rows},
    {"quantize.special-values", "ext/quantize.h: quantize",
     "zeros become no other numbers; NaN and infinity end no process", special_values},
    {"quantize.part-count", "ext/quantize.h: quantize", "a wrong number of parts is refused",
     part_count}};

}  // namespace

std::span<const Rule> quantize_rules() {
  return kRules;
}

}  // namespace precis::validate
