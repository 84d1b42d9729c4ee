// The functions of precis.grid/1, as a host that converts calls them.
#pragma once

#include <cstddef>
#include <vector>

#include "validate/subject/weights.h"

namespace precis::validate {

// The tensors of a grid.
struct GridTensors {
  PartPlan plan;
  std::vector<std::vector<std::byte>> bytes;

  int64_t down() const { return plan.parts[0].shape[0]; }
  int64_t across() const { return plan.parts[0].shape[1]; }
};

// A grid of this many tiles, of zeros, with or without zero points.
GridTensors grid_of(const Param& param, int64_t down, int64_t across, bool zeros);

// The numbers of a grid's tensor, of which there are enough.
template <typename T>
T* grid_numbers(GridTensors& grid, std::size_t tensor) {
  return reinterpret_cast<T*>(grid.bytes[tensor].data());
}

Result<PartPlan> plan_of_grid(const Instance& instance, const Param& param);

struct GridOptions {
  Guard guard = Guard::slack;  // around all that is written
  std::byte output_fill{0xa5};
};

// What a call made.
struct GridResult {
  Status outcome;      // the plugin's refusal
  Status report;       // whether it reported that as C5 demands
  bool intact = true;  // nothing around the outputs was written
  std::vector<std::vector<std::byte>> outputs;
};

GridResult read_grid(const Instance& instance, const Weight& weight,
                     const std::vector<std::vector<std::byte>>& parts, const PartPlan& plan,
                     const GridOptions& options = {});

// weight: planned as one that is written on a grid.
GridResult write_grid(const Instance& instance, const Weight& weight, const GridTensors& grid,
                      const GridOptions& options = {});

}  // namespace precis::validate
