// Scales and zero points on their way from one method to another.
#include <random>

#include "validate/rules/rule.h"
#include "validate/subject/grid_calls.h"
#include "validate/subject/stored.h"

namespace precis::validate {
namespace {

using Parts = std::vector<std::vector<std::byte>>;

constexpr std::size_t kScales = 0, kRowTiles = 1, kColumnTiles = 2, kZeros = 3;

// A stored weight and its grid. Skipped: this weight has none.
struct OnGrid {
  const Instance& instance;
  const Weight& weight;
  Parts parts;
  PartPlan plan;
};

Verdict for_each_grid(const Subject& subject, const std::function<Verdict(const OnGrid&)>& test) {
  return for_each_readable(subject, [&](const Instance& instance, const Weight& weight) -> Verdict {
    if (instance.grid() == nullptr) return Verdict::skip("it has no precis.grid/1");
    doing("plan of the grid");
    auto plan = plan_of_grid(instance, weight.param);
    if (!plan.ok() && plan.error().code() == ErrorCode::unsupported)
      return Verdict::skip("what the preset writes has no grid");
    if (!plan.ok()) return plan.error();
    PRECIS_ASSIGN(Parts parts, encoded_parts(instance, weight));
    return test({instance, weight, std::move(parts), *std::move(plan)});
  });
}

Result<GridTensors> grid_read(const OnGrid& of, const GridOptions& options = {}) {
  doing("read");
  GridResult read = read_grid(of.instance, of.weight, of.parts, of.plan, options);
  PRECIS_TRY(std::move(read.outcome));
  return GridTensors{of.plan, std::move(read.outputs)};
}

// The same weight with these numbers, planned as one that is written on a grid.
Result<Weight> on_grid(const OnGrid& of, std::vector<float> values) {
  Param param = of.weight.param;
  param.on_grid = true;
  return planned_weight(of.instance, param, std::move(values));
}

// With the weight as a host has it: decoded, where the plugin writes.
Verdict for_each_decoded(const Subject& subject,
                         const std::function<Verdict(const OnGrid&, const Weight&)>& test) {
  if (subject.input() != nullptr) return Verdict::skip("it is about writing, --input is read");
  return for_each_grid(subject, [&](const OnGrid& of) -> Verdict {
    PRECIS_ASSIGN(std::vector<float> decoded, decoded_numbers(of.instance, of.weight, of.parts));
    PRECIS_ASSIGN(const Weight weight, on_grid(of, std::move(decoded)));
    return test(of, weight);
  });
}

Verdict plan(Subject& subject) {
  return for_each_grid(subject, [](const OnGrid& of) -> Verdict {
    const std::vector<PartSpec>& got = of.plan.parts;
    if (got.size() != kZeros && got.size() != kZeros + 1)
      return violation("the grid has {} tensors, it must have 3 or 4", got.size());
    if (got[kScales].shape.size() != 2)
      return violation("the scales have {} dimensions, not 2", got[kScales].shape.size());
    const GridTensors want =
        grid_of(of.weight.param, got[kScales].shape[0], got[kScales].shape[1], got.size() > kZeros);
    for (std::size_t i = 0; i < got.size(); ++i) {
      const PartSpec& right = want.plan.parts[i];
      if (got[i].dtype != right.dtype || got[i].shape != right.shape ||
          got[i].nbytes != right.nbytes)
        return violation("'{}' of the grid is {} [{}] of {} bytes, not {} [{}] of {}", right.name,
                         dtype_name(got[i].dtype), fmt::join(got[i].shape, ", "), got[i].nbytes,
                         dtype_name(right.dtype), fmt::join(right.shape, ", "), right.nbytes);
    }
    PRECIS_ASSIGN(const PartPlan again, plan_of_grid(of.instance, of.weight.param));
    if (again.parts.size() != got.size() || again.parts[kScales].shape != got[kScales].shape)
      return violation("the grid of one weight is planned in two ways");
    return {};
  });
}

Verdict outputs(Subject& subject) {
  return for_each_grid(subject, [&](const OnGrid& of) -> Verdict {
    for (const Guard guard : {Guard::behind, Guard::before}) {
      doing("read");
      const GridResult read = read_grid(of.instance, of.weight, of.parts, of.plan, {guard});
      if (!read.outcome.ok()) return read.outcome.error();
      if (!read.intact) return violation("read writes outside of the grid");
      if (subject.input() != nullptr) continue;
      PRECIS_ASSIGN(const auto decoded, decoded_numbers(of.instance, of.weight, of.parts));
      PRECIS_ASSIGN(const Weight weight, on_grid(of, decoded));
      doing("write");
      if (!write_grid(of.instance, weight, {of.plan, read.outputs}, {guard}).intact)
        return violation("write writes outside of parts and workspace");
    }
    return {};
  });
}

Verdict fills(Subject& subject) {
  const GridOptions other{Guard::slack, std::byte{0x3c}};
  return for_each_grid(subject, [&](const OnGrid& of) -> Verdict {
    PRECIS_ASSIGN(const GridTensors grid, grid_read(of));
    PRECIS_ASSIGN(const GridTensors again, grid_read(of, other));
    if (grid.bytes != again.bytes)
      return violation("the grid depends on what was in its memory before");
    if (subject.input() != nullptr) return {};
    PRECIS_ASSIGN(const auto decoded, decoded_numbers(of.instance, of.weight, of.parts));
    PRECIS_ASSIGN(const Weight weight, on_grid(of, decoded));
    doing("write");
    const GridResult usual = write_grid(of.instance, weight, grid);
    if (usual.outcome.ok() && usual.outputs != write_grid(of.instance, weight, grid, other).outputs)
      return violation("the parts depend on what was in their memory before");
    return {};
  });
}

// The first row or column that lies in a tile that there is not.
std::optional<std::string> stray(GridTensors& grid) {
  for (const std::size_t map : {kRowTiles, kColumnTiles}) {
    const int32_t* tiles = grid_numbers<int32_t>(grid, map);
    const int64_t count = map == kRowTiles ? grid.down() : grid.across();
    for (int64_t i = 0; i < grid.plan.parts[map].shape[0]; ++i) {
      if (tiles[i] >= 0 && tiles[i] < count) continue;
      return fmt::format("{} {} lies in tile {} of {}", map == kRowTiles ? "row" : "column", i,
                         tiles[i], count);
    }
  }
  return std::nullopt;
}

Verdict tiles(Subject& subject) {
  return for_each_grid(subject, [](const OnGrid& of) -> Verdict {
    PRECIS_ASSIGN(GridTensors grid, grid_read(of));
    if (const auto found = stray(grid)) return violation("{}", *found);
    return {};
  });
}

// What `parts` decode to is the weight, the sign of a zero aside.
Verdict compare(const OnGrid& of, const Weight& weight, const Parts& parts) {
  PRECIS_ASSIGN(const auto got, decoded_numbers(of.instance, weight, parts));
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i] == weight.values[i]) continue;
    return violation("element {} is {}, it was {}", i, got[i], weight.values[i]);
  }
  return {};
}

Verdict round_trip(Subject& subject) {
  return for_each_decoded(subject, [](const OnGrid& of, const Weight& weight) -> Verdict {
    PRECIS_ASSIGN(GridTensors grid, grid_read(of));
    if (stray(grid)) return Verdict::skip("its maps leave the tiles");
    doing("write");
    const GridResult written = write_grid(of.instance, weight, grid);
    if (!written.outcome.ok()) return written.outcome.error();
    Verdict verdict = compare(of, weight, written.outputs);
    if (verdict.kind() != Verdict::Kind::failed) return verdict;
    return violation("written on its own grid, {}", verdict.text());
  });
}

// Each element a tile of its own, no two scales a power of two apart, all codes alike: nothing that
// shares scales holds it.
Verdict refuses(Subject& subject) {
  return for_each_decoded(subject, [](const OnGrid& of, const Weight& weight) -> Verdict {
    const int64_t rows = weight.param.rows();
    const auto columns = static_cast<int64_t>(weight.param.row_elements());
    GridTensors grid = grid_of(weight.param, rows, columns, false);
    for (int64_t i = 0; i < rows; ++i)
      grid_numbers<int32_t>(grid, kRowTiles)[i] = static_cast<int32_t>(i);
    for (int64_t i = 0; i < columns; ++i)
      grid_numbers<int32_t>(grid, kColumnTiles)[i] = static_cast<int32_t>(i);
    Weight foreign = weight;
    for (std::size_t i = 0; i < foreign.values.size(); ++i) {
      const float scale = 1 + static_cast<float>(i * 37 % 127) / 128;
      grid_numbers<float>(grid, kScales)[i] = scale;
      foreign.values[i] = scale;
    }
    doing("write on a grid with a scale for each element");
    const GridResult written = write_grid(of.instance, foreign, grid);
    if (!written.outcome.ok() && written.outcome.error().code() == ErrorCode::unsupported) {
      PRECIS_TRY(written.report);
      return {};
    }
    if (!written.outcome.ok())
      return violation("a grid that it cannot take over is not refused with PRECIS_UNSUPPORTED: {}",
                       written.outcome.error().text());
    Verdict verdict = compare(of, foreign, written.outputs);
    if (verdict.kind() != Verdict::Kind::failed) return verdict;
    return violation("it takes over a grid with a scale for each element, but {}", verdict.text());
  });
}

// A grid is made by anyone's plugin, of anyone's checkpoint.
Verdict damaged(Subject& subject) {
  return for_each_grid(subject, [&](const OnGrid& of) -> Verdict {
    std::mt19937 random(7);
    Parts parts = of.parts;
    for (auto& part : parts) {
      for (std::byte& byte : part) byte = static_cast<std::byte>(random());
    }
    doing("read of random bytes");
    read_grid(of.instance, of.weight, parts, of.plan);
    if (subject.input() != nullptr) return {};
    PRECIS_ASSIGN(const auto decoded, decoded_numbers(of.instance, of.weight, of.parts));
    PRECIS_ASSIGN(const Weight weight, on_grid(of, decoded));
    PRECIS_ASSIGN(const GridTensors grid, grid_read(of));
    for (const std::size_t map : {kRowTiles, kColumnTiles}) {
      for (const int32_t tile : {-1, 1 << 30}) {
        GridTensors spoilt = grid;
        grid_numbers<int32_t>(spoilt, map)[1] = tile;
        doing(fmt::format("write on a grid with tile {}", tile));
        write_grid(of.instance, weight, spoilt);
      }
    }
    return {};
  });
}

constexpr Rule kRules[] = {
    {"grid.plan", "ext/grid.h: plan",
     "the plan is pure, and has the dtypes and shapes of a grid of the weight", plan},
    {"grid.outputs", "C1", "grid, parts and workspace are all that is written", outputs},
    {"grid.fills", "C1", "grid and parts are written completely", fills},
    {"grid.tiles", "ext/grid.h: row_tiles, column_tiles",
     "every row and column lies in a tile that there is", tiles},
    {"grid.round-trip", "ext/grid.h: write",
     "a decoded weight that is written on its own grid has the same values", round_trip},
    {"grid.refuses", "ext/grid.h: write",
     "a grid that the format cannot take over is refused with PRECIS_UNSUPPORTED", refuses},
    {"grid.damaged", "ext/grid.h: write",
     "parts with any bytes, and maps that leave the tiles, end no process", damaged}};

}  // namespace

std::span<const Rule> grid_rules() {
  return kRules;
}

}  // namespace precis::validate
