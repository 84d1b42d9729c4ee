// The stages of a product in one instruction set; ProductStages has their contracts.
#pragma once

#include "kernels/cpu/linear/stages.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace linear {

void find_outliers(const Activations& x, float threshold, uint64_t begin, uint64_t end,
                   uint8_t* outlier);
void prepare(const LinearWeight& weight, const PreparedActivations& x, const uint8_t* outlier,
             uint64_t index);
void multiply_few(const LinearWeight& weight, const PreparedActivations& x, uint64_t begin,
                  uint64_t end, const LinearOutput& y, std::byte* scratch);
// multiply_few where there is a RowDot.
void dot_rows(const LinearWeight& weight, const PreparedActivations& x, uint64_t begin,
              uint64_t end, const LinearOutput& y);
void multiply_block(const LinearWeight& weight, const PreparedActivations& x, uint64_t begin,
                    uint64_t end, uint64_t x_begin, uint64_t x_end, const LinearOutput& y,
                    std::byte* scratch);

}  // namespace linear
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
