#include "kernels/cpu/linear/product.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/linear/stages.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(ProductStages, vector_stages)

#if defined(__x86_64__)
namespace amx {
const ProductStages& tile_stages();
}
#endif

const ProductStages& product_stages(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::amx) return amx::tile_stages();
#endif
  return vector_stages(isa);
}

namespace {

bool is_integer(Arithmetic arithmetic) {
  return arithmetic == Arithmetic::int8_rows || arithmetic == Arithmetic::int8_blocks;
}

// Scales of a row of activations, at most.
uint64_t most_blocks(Arithmetic arithmetic, uint64_t columns) {
  switch (arithmetic) {
    case Arithmetic::float32:
    case Arithmetic::bfloat16:
      return 0;
    case Arithmetic::bfloat16_groups:
      return columns / kColumnPad;
    case Arithmetic::int8_rows:
      return 1;
    case Arithmetic::int8_blocks:
      return columns / 16;
  }
  return 0;
}

// Hands out parts of the workspace.
struct Layout {
  uint64_t size = 0;
  uint64_t take(uint64_t bytes) {
    const uint64_t offset = size;
    size += round_up(bytes, 64);
    return offset;
  }
};

struct WorkspaceLayout {
  uint64_t columns, padded_rows;
  uint64_t words, scales, sums, offsets, outlier_flags, outliers, scratch, scratch_size;
  uint64_t size;
  WorkspaceLayout(const ProductStages& stages, Arithmetic arithmetic, uint64_t in_features,
                  uint64_t rows, uint64_t concurrency)
      : columns(round_up(in_features, kColumnPad)),
        padded_rows(round_up(rows, stages.vector_rows)) {
    const uint64_t element = is_integer(arithmetic)              ? stages.byte_size
                             : arithmetic == Arithmetic::float32 ? 4
                                                                 : 2;
    const uint64_t blocks = most_blocks(arithmetic, columns);
    Layout layout;
    words = layout.take(padded_rows * columns * element);
    scales = layout.take(padded_rows * blocks * sizeof(float));
    const bool is_float = arithmetic == Arithmetic::float32 || arithmetic == Arithmetic::bfloat16;
    sums = layout.take(is_float ? kFewRows * columns / 16 * sizeof(float)
                                : padded_rows * blocks * sizeof(float));
    offsets = layout.take(padded_rows * blocks * sizeof(int32_t));
    const uint64_t marked = arithmetic == Arithmetic::int8_rows ? columns : 0;
    outlier_flags = layout.take(marked);
    outliers = layout.take(marked * sizeof(uint32_t));
    scratch_size = scratch_bytes(columns);
    scratch = layout.take(scratch_size * concurrency);
    size = layout.size;
  }
};

// Columns of x that LLM.int8() multiplies as floats.
void find_outliers(const ProductStages& stages, const LinearWeight& weight, uint8_t* flags,
                   PreparedActivations& x, const TaskRunner& tasks) {
  const uint64_t count = weight.in_features;
  std::memset(flags, 0, round_up(count, kColumnPad));
  if (!(weight.threshold > 0)) return;
  constexpr uint64_t kColumnsAtOnce = 512;
  tasks.run((count + kColumnsAtOnce - 1) / kColumnsAtOnce, [&](uint64_t task) {
    const uint64_t begin = task * kColumnsAtOnce;
    stages.find_outliers(x.source, weight.threshold, begin, std::min(count, begin + kColumnsAtOnce),
                         flags);
  });
  for (uint64_t i = 0; i < count; ++i) {
    if (flags[i] != 0) x.outliers[x.outlier_count++] = static_cast<uint32_t>(i);
  }
}

// Calls body(piece, task) for all pieces, on as many tasks as can run at once; no two pieces of one
// task run at once.
template <typename Body>
void share(const TaskRunner& tasks, uint64_t pieces, Body&& body) {
  std::atomic<uint64_t> next{0};
  tasks.run(std::min(tasks.concurrency, pieces), [&](uint64_t task) {
    for (uint64_t piece = next++; piece < pieces; piece = next++) body(piece, task);
  });
}

}  // namespace

Arithmetic float_arithmetic(Isa isa, WeightType activation) {
  return has_bfloat16_dot(isa) && activation == WeightType::bf16 ? Arithmetic::bfloat16
                                                                 : Arithmetic::float32;
}

bool has_bfloat16_groups(Isa isa, uint64_t group) {
  return has_bfloat16_dot(isa) && group % kColumnPad == 0 && group > 0 && kStrip % group == 0;
}

uint64_t linear_workspace(Isa isa, Arithmetic arithmetic, uint64_t in_features, uint64_t rows,
                          uint64_t concurrency) {
  return WorkspaceLayout(product_stages(isa), arithmetic, in_features, rows, concurrency).size;
}

void linear_product(Isa isa, const LinearWeight& weight, const Activations& source,
                    const LinearOutput& y, std::byte* workspace, const TaskRunner& tasks) {
  linear_product(product_stages(isa), weight, source, y, workspace, tasks);
}

void linear_product(const ProductStages& stages, const LinearWeight& weight,
                    const Activations& source, const LinearOutput& y, std::byte* workspace,
                    const TaskRunner& tasks) {
  if (source.rows == 0 || weight.out_features == 0) return;
  const WorkspaceLayout layout(stages, weight.arithmetic, weight.in_features, source.rows,
                               tasks.concurrency);
  const auto part = [&](uint64_t offset) { return workspace + offset; };
  const auto scratch = [&](uint64_t task) {
    return workspace + layout.scratch + task * layout.scratch_size;
  };
  PreparedActivations x{source.rows,
                        layout.padded_rows,
                        layout.columns,
                        is_few(weight, source),
                        part(layout.words),
                        reinterpret_cast<float*>(part(layout.scales)),
                        reinterpret_cast<float*>(part(layout.sums)),
                        reinterpret_cast<int32_t*>(part(layout.offsets)),
                        reinterpret_cast<uint32_t*>(part(layout.outliers)),
                        0,
                        source};
  auto* flags = reinterpret_cast<uint8_t*>(part(layout.outlier_flags));
  if (weight.arithmetic == Arithmetic::int8_rows) find_outliers(stages, weight, flags, x, tasks);
  if (x.few) {
    for (uint64_t row = 0; row < x.rows; ++row) stages.prepare(weight, x, flags, row);
    const uint64_t sharing = has_row_dot(weight, source.type) ? weight.row_dot.sharing : 1;
    const uint64_t out_rows = (weight.out_features + sharing - 1) / sharing;
    const uint64_t rows_at_once = std::clamp<uint64_t>(out_rows / (tasks.concurrency * 8), 16, 256);
    const uint64_t pieces = (out_rows + rows_at_once - 1) / rows_at_once;
    share(tasks, pieces, [&](uint64_t piece, uint64_t task) {
      const uint64_t begin = piece * rows_at_once;
      stages.multiply_few(weight, x, begin, std::min(out_rows, begin + rows_at_once), y,
                          scratch(task));
    });
    return;
  }
  share(tasks, (x.rows + stages.panel_rows - 1) / stages.panel_rows,
        [&](uint64_t panel, uint64_t) { stages.prepare(weight, x, flags, panel); });
  const uint64_t blocks = (weight.out_features + kBlockRows - 1) / kBlockRows;
  const uint64_t turns = (x.rows + kTurnRows - 1) / kTurnRows;
  share(tasks, blocks * turns, [&](uint64_t piece, uint64_t task) {
    const uint64_t begin = piece / turns * kBlockRows, x_begin = piece % turns * kTurnRows;
    stages.multiply_block(weight, x, begin, std::min(weight.out_features, begin + kBlockRows),
                          x_begin, std::min(x.rows, x_begin + kTurnRows), y, scratch(task));
  });
}

}  // namespace precis::kernels
