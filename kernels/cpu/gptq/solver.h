// GPTQ: rounding column after column, each error spread over the columns not yet rounded.
//
// Frantar et al. 2022, "GPTQ"; the loop is that of GPTQModel 7.7 (quantization/gptq.py), but for
// three things that no loader can tell: groups find their scale from columns that have taken up all
// errors before them, also those of their own block; weights are rounded with the scale as it is
// stored, in float16; a symmetric group without negative weights gets the scale it needs.
//
// Rows do not touch each other: 32 at a time lie side by side as the lanes of vectors, and their
// matrix stays in the second-level cache while the factor streams past.
#pragma once

#include <cstdint>

#include "kernels/cpu/gptq/gptq.h"

namespace precis::kernels {

struct GptqSolve {
  GptqFormat format;
  bool symmetric = true;
  GptqShape shape;
  // Upper U with U^T U the inverse of the damped second moments, [columns][columns], its rows and
  // columns in the order of solving.
  const float* factor = nullptr;
  const uint32_t* order = nullptr;     // [columns]: the column at each place of that order
  const uint32_t* group_of = nullptr;  // [columns]: the group of the column at each place; the
                                       // columns of a group are neighbours, unless:
  bool static_groups = false;          // groups find their scales before anything is rounded
  float damping = 0;                   // what was added to the diagonal
};

struct GptqSolverKernels {
  // Rounds and packs rows [row, row + 32). scratch: gptq_scratch(shape) bytes, 64-byte aligned.
  // Returns the sum over these rows of e H e^T, e what the row lost and H the second moments
  // without damping.
  double (*solve)(WeightType type, const void* weight, const GptqSolve& solve, uint64_t row,
                  void* scratch, uint32_t* qweight, uint32_t* qzeros, uint16_t* scales);
};

uint64_t gptq_scratch(const GptqShape& shape);

const GptqSolverKernels& gptq_solver_kernels(Isa isa);

}  // namespace precis::kernels
