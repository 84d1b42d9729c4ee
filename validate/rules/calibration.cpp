// Weights encoded by what reaches them.
#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <thread>

#include "validate/rules/rule.h"
#include "validate/subject/calibration_group.h"

namespace precis::validate {
namespace {

constexpr int64_t kRows = 96;

// A preset that can be calibrated, with a weight that it takes and one more of the same size.
struct Layers {
  const Instance& instance;
  Weight first, second;

  std::vector<const Weight*> one() const { return {&first}; }
  std::vector<const Weight*> both() const { return {&first, &second}; }
  int64_t columns() const { return static_cast<int64_t>(first.param.row_elements()); }
};

Verdict for_each_layers(const Subject& subject, const std::function<Verdict(const Layers&)>& test) {
  return for_each_preset(subject, [&](const Preset&, const Instance& instance) -> Verdict {
    if (instance.calibration() == nullptr) return Verdict::skip("it has no precis.calibration/1");
    const auto fitting = fitting_weight(instance);
    if (!fitting) return Verdict::skip("no preset of it writes weights");
    Param param = fitting->param;
    param.calibrated = true;
    PRECIS_ASSIGN(Weight first, planned_weight(instance, param, fitting->values));
    param.name = "other.weight";
    PRECIS_ASSIGN(Weight second,
                  planned_weight(instance, param, normal_numbers(fitting->values.size(), 11)));
    const Verdict verdict = test({instance, std::move(first), std::move(second)});
    if (verdict.kind() != Verdict::Kind::failed) return verdict;
    return violation("{}: {}", fitting->text(), verdict.text());
  });
}

// Rows in which some columns are larger than others and neighbours resemble each other.
std::vector<float> activation(int64_t rows, int64_t columns, uint32_t seed) {
  auto values = normal_numbers(static_cast<std::size_t>(rows * columns), seed, 25);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t column = i % static_cast<std::size_t>(columns);
    if (column > 0) values[i] = 0.8F * values[i] + 0.6F * values[i - 1];
    if (column % 17 == 3) values[i] *= 5;
  }
  return values;
}

// A group that has observed two batches.
Result<std::unique_ptr<CalibrationGroup>> observed(const Layers& layers,
                                                   std::span<const Weight* const> weights,
                                                   Guard guard = Guard::slack) {
  PRECIS_ASSIGN(auto group, CalibrationGroup::make(layers.instance, weights, guard));
  for (const uint32_t seed : {21u, 22u}) {
    doing("observe");
    PRECIS_TRY(group->observe(DType::f32, activation(kRows, layers.columns(), seed)));
  }
  doing("finish");
  return group;
}

Result<Finished> finished(const Layers& layers, std::span<const Weight* const> weights,
                          const FinishOptions& options = {}) {
  PRECIS_ASSIGN(const auto group, observed(layers, weights));
  Finished result = group->finish(options);
  PRECIS_TRY(std::move(result.outcome));
  return result;
}

Verdict plan(Subject& subject) {
  return for_each_layers(subject, [](const Layers& layers) -> Verdict {
    PRECIS_ASSIGN(const auto group, CalibrationGroup::make(layers.instance, layers.both()));
    PRECIS_ASSIGN(const auto again, CalibrationGroup::make(layers.instance, layers.both()));
    const PartPlan &a = group->plan(), &b = again->plan();
    bool same = a.parts.size() == b.parts.size() && a.workspace_bytes == b.workspace_bytes;
    for (std::size_t i = 0; i < a.parts.size() && same; ++i)
      same = a.parts[i].shape == b.parts[i].shape && a.parts[i].nbytes == b.parts[i].nbytes &&
             a.parts[i].dtype == b.parts[i].dtype;
    if (!same) return violation("the same group is planned in two ways");
    for (const PartSpec& part : a.parts) {
      uint64_t elements = 1;
      for (const int64_t size : part.shape) elements *= static_cast<uint64_t>(size);
      if (part.nbytes != dtype_bytes(part.dtype, elements))
        return violation("the state '{}' is planned with {} bytes, its shape says others",
                         part.name, part.nbytes);
    }
    return {};
  });
}

Verdict outputs(Subject& subject) {
  return for_each_layers(subject, [](const Layers& layers) -> Verdict {
    for (const Guard guard : {Guard::behind, Guard::before}) {
      PRECIS_ASSIGN(const auto group, observed(layers, layers.one(), guard));
      if (!group->intact()) return violation("observe writes outside of its state");
      FinishOptions options;
      options.guard = guard;
      options.offer_scales = group->may_scale();
      const Finished result = group->finish(options);
      if (!result.outcome.ok()) return result.outcome.error();
      if (!result.intact)
        return violation("finish writes outside of parts, scales, state and workspace");
    }
    return {};
  });
}

Verdict fills(Subject& subject) {
  return for_each_layers(subject, [](const Layers& layers) -> Verdict {
    PRECIS_ASSIGN(const Finished usual, finished(layers, layers.one()));
    FinishOptions options;
    options.output_fill = std::byte{0x3c};
    PRECIS_ASSIGN(const Finished other, finished(layers, layers.one(), options));
    if (usual.parts == other.parts) return {};
    return violation("the parts depend on what was in their memory before");
  });
}

Verdict order(Subject& subject) {
  return for_each_layers(subject, [](const Layers& layers) -> Verdict {
    std::vector<std::vector<float>> states;
    for (const bool reversed : {false, true}) {
      PRECIS_ASSIGN(const auto group, CalibrationGroup::make(layers.instance, layers.one()));
      std::vector<uint32_t> seeds{31, 32, 33};
      if (reversed) std::reverse(seeds.begin(), seeds.end());
      for (const uint32_t seed : seeds)
        PRECIS_TRY(group->observe(DType::f32, activation(kRows, layers.columns(), seed)));
      states.push_back(group->state_numbers());
    }
    const double off = relative_error(states[0], states[1]);
    if (off < 1e-3) return {};
    return violation("the state is off by {:.4f} when the batches come in another order", off);
  });
}

Verdict dtypes(Subject& subject) {
  return for_each_layers(subject, [](const Layers& layers) -> Verdict {
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
      PRECIS_ASSIGN(const auto group, CalibrationGroup::make(layers.instance, layers.one()));
      for (const int64_t rows : {int64_t{0}, int64_t{1}, kRows}) {
        doing(fmt::format("observe of {} rows of {}", rows, dtype_name(dtype)));
        PRECIS_TRY(group->observe(dtype, activation(rows, layers.columns(), 41)));
      }
      doing("finish");
      PRECIS_TRY(group->finish().outcome);
    }
    return {};
  });
}

Verdict non_finite(Subject& subject) {
  return for_each_layers(subject, [](const Layers& layers) -> Verdict {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
      PRECIS_ASSIGN(const auto group, observed(layers, layers.one()));
      const auto before = group->state();
      auto values = activation(kRows, layers.columns(), 51);
      values[values.size() - 5] = bad;
      doing(fmt::format("observe with {}", bad));
      const auto outcome = group->observe(DType::f32, values);
      if (outcome.ok() || outcome.error().code() != ErrorCode::data_loss)
        return violation("an activation with {} is not refused with PRECIS_DATA_LOSS", bad);
      if (group->state() != before)
        return violation("an activation with {} is refused, but the state has changed", bad);
    }
    return {};
  });
}

Verdict nothing_observed(Subject& subject) {
  return for_each_layers(subject, [](const Layers& layers) -> Verdict {
    PRECIS_ASSIGN(const auto group, CalibrationGroup::make(layers.instance, layers.one()));
    doing("finish of a group that has observed nothing");
    RecordedCall call;
    FinishOptions options;
    options.call = &call;
    const Finished result = group->finish(options);
    if (result.status != PRECIS_FAILED_PRECONDITION)
      return violation("it gives status {}, not PRECIS_FAILED_PRECONDITION", result.status);
    PRECIS_TRY(call.check_report(result.status));
    return {};
  });
}

// The sum of (x (W - W')^T)^2 over the rows of both batches.
double output_error(const Layers& layers, std::span<const float> weight,
                    std::span<const float> decoded) {
  const auto columns = static_cast<std::size_t>(layers.columns());
  double sum = 0;
  for (const uint32_t seed : {21u, 22u}) {
    const auto x = activation(kRows, layers.columns(), seed);
    for (std::size_t row = 0; row < static_cast<std::size_t>(kRows); ++row) {
      for (std::size_t o = 0; o < weight.size() / columns; ++o) {
        double off = 0;
        for (std::size_t i = 0; i < columns; ++i)
          off += double{x[row * columns + i]} *
                 (double{weight[o * columns + i]} - decoded[o * columns + i]);
        sum += off * off;
      }
    }
  }
  return sum;
}

Verdict errors(Subject& subject) {
  return for_each_layers(subject, [](const Layers& layers) -> Verdict {
    PRECIS_ASSIGN(const Finished result, finished(layers, layers.both()));
    const std::vector<const Weight*> weights = layers.both();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (std::isnan(result.errors[i])) continue;
      PRECIS_ASSIGN(const auto decoded,
                    decoded_numbers(layers.instance, *weights[i], result.parts[i]));
      const double measured = output_error(layers, weights[i]->values, decoded);
      if (!(std::abs(result.errors[i] - measured) <= 0.05 * measured))
        return violation(
            "it says that weight {} of the group makes an error of {:.5g}; it is {:.5g}", i,
            result.errors[i], measured);
    }
    return {};
  });
}

Verdict groups(Subject& subject) {
  return for_each_layers(subject, [](const Layers& layers) -> Verdict {
    PRECIS_ASSIGN(const Finished result, finished(layers, layers.both()));
    const std::vector<const Weight*> weights = layers.both();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      PRECIS_ASSIGN(const auto decoded,
                    decoded_numbers(layers.instance, *weights[i], result.parts[i]));
      const double off = relative_error(decoded, weights[i]->values);
      if (!(off < 0.95))
        return violation("weight {} of a group of two decodes to what is off by {:.3f}", i, off);
    }
    return {};
  });
}

Verdict scales(Subject& subject) {
  return for_each_layers(subject, [](const Layers& layers) -> Verdict {
    PRECIS_ASSIGN(const auto group, observed(layers, layers.one()));
    if (!group->may_scale()) return Verdict::skip("it makes no use of scales");
    FinishOptions options;
    options.offer_scales = true;
    const Finished result = group->finish(options);
    if (!result.outcome.ok()) return result.outcome.error();
    for (const float value : result.scales) {
      if (!(value > 0 && std::isfinite(value))) return violation("a scale is {}", value);
    }
    PRECIS_ASSIGN(auto decoded,
                  decoded_numbers(layers.instance, layers.first, result.parts.front()));
    for (std::size_t i = 0; i < decoded.size(); ++i)
      decoded[i] /= result.scales[i % result.scales.size()];
    const double off = relative_error(decoded, layers.first.values);
    if (off < 0.95) return {};
    return violation("what it encodes is not the weight times its scales: off by {:.3f}", off);
  });
}

Verdict cancel(Subject& subject) {
  return for_each_layers(subject, [](const Layers& layers) -> Verdict {
    RecordedCall counting;
    FinishOptions options;
    options.call = &counting;
    PRECIS_ASSIGN(const Finished usual, finished(layers, layers.one(), options));
    const uint64_t polls = counting.polls();
    if (polls == 0) return violation("finish never polls");
    for (const uint64_t stop : {uint64_t{0}, polls - 1}) {
      RecordedCall call;
      call.stop_at(stop);
      options.call = &call;
      PRECIS_ASSIGN(const auto group, observed(layers, layers.one()));
      doing(fmt::format("finish, told to stop at poll {} of {}", stop, polls));
      if (const precis_status status = group->finish(options).status; status != PRECIS_CANCELLED)
        return violation("told to stop at poll {} of {} it gives status {}", stop, polls, status);
    }
    PRECIS_ASSIGN(const Finished again, finished(layers, layers.one()));
    if (again.parts != usual.parts) return violation("after a cancelled call it gives other bytes");
    return {};
  });
}

Verdict concurrent(Subject& subject) {
  subject.host().use_threads(3);
  return for_each_layers(subject, [](const Layers& layers) -> Verdict {
    PRECIS_ASSIGN(const Finished usual, finished(layers, layers.one()));
    std::mutex mutex;
    std::string wrong;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        const auto result = finished(layers, layers.one());
        const std::lock_guard lock(mutex);
        if (!result.ok())
          wrong = result.error().text();
        else if (result->parts != usual.parts)
          wrong = "other bytes";
      });
    }
    for (std::thread& thread : threads) thread.join();
    if (wrong.empty()) return {};
    return violation("4 groups at once give other results than one after another: {}", wrong);
  });
}

constexpr std::string_view kHeader = "ext/calibration.h";

constexpr Rule kRules[] = {
    {"calibration.plan", "ext/calibration.h: plan", "the plan of a state is pure, its sizes agree",
     plan},
    {"calibration.outputs", "C1", "state, parts, scales and workspace are all that is written",
     outputs},
    {"calibration.fills", "C1", "parts are written completely", fills},
    {"calibration.order", "ext/calibration.h: observe",
     "the order of batches matters to rounding only", order},
    {"calibration.dtypes", "ext/calibration.h: observe",
     "float32, float16 and bfloat16 are observed, also without rows", dtypes},
    {"calibration.non-finite", "ext/calibration.h: observe",
     "NaN and infinity are refused and leave the state as it was", non_finite},
    {"calibration.nothing-observed", "ext/calibration.h: finish",
     "without anything observed it gives PRECIS_FAILED_PRECONDITION", nothing_observed},
    {"calibration.errors", "ext/calibration.h: errors",
     "the errors are those of the outputs, or NaN", errors},
    {"calibration.groups", kHeader, "each weight of a group is encoded into its own parts", groups},
    {"calibration.scales", "ext/calibration.h: scales",
     "scales are positive and finite, and the weight is encoded times them", scales},
    {"calibration.cancel", "C4", "finish polls, and stops when it is told to", cancel},
    {"calibration.concurrent", kHeader, "groups are calibrated on several threads at once",
     concurrent}};

}  // namespace

std::span<const Rule> calibration_rules() {
  return kRules;
}

}  // namespace precis::validate
