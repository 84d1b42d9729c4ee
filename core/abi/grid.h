// The grids of stored weights: precis.grid/1 behind Result and standard types.
#pragma once

#include <atomic>
#include <cstddef>
#include <span>

#include "core/abi/quantizer.h"

namespace precis {

// A weight's scales and zero points, on their way from one method to another.
class Grid {
 public:
  // Whether a method reads and writes grids at all; without it weights are encoded anew.
  static bool available(const Quantizer& quantizer);

  // The tensors of the grid of a stored weight, and the workspace of read. Error unsupported: it
  // has none.
  static Result<PartPlan> plan(const Quantizer& quantizer, const Param& param);

  // Fills `grid`, one buffer of the planned size each. Error unsupported: the weight has none.
  static Status read(const Quantizer& quantizer, const Param& param,
                     std::span<const PartSpec> specs,
                     std::span<const std::span<const std::byte>> parts,
                     std::span<const PartSpec> grid_specs,
                     std::span<const std::span<std::byte>> grid, std::span<std::byte> workspace);

  // Encodes `weight` on a grid that another method filled. Error unsupported: the format cannot
  // take it over; the message names the rule.
  static Status write(const Quantizer& quantizer, const Param& param,
                      std::span<const std::byte> weight, std::span<const PartSpec> grid_specs,
                      std::span<const std::span<const std::byte>> grid,
                      std::span<const PartSpec> specs, std::span<const std::span<std::byte>> parts,
                      std::span<std::byte> workspace, const std::atomic<bool>* cancel);
};

}  // namespace precis
