// Second moments of activations as the state of a calibration: x^T x of all rows observed, in the
// upper triangle of float32 [in, in], and the number of rows.
#pragma once

#include <precis/plugin.hpp>
#include <vector>

#include "kernels/cpu/calibration/cholesky.h"

namespace precis::plugins {

inline constexpr std::size_t kMoments = 0, kObservedRows = 1;  // in the state

// A pool of the host's as kernels take it; cancels when the host asks to stop.
kernels::ParallelFor host_threads(const precis_call& call);

void plan_second_moments(uint64_t columns, sdk::PlanWriter& state);

// Takes rows of [rows, columns] into the state. Throws PRECIS_DATA_LOSS for a NaN or an infinity.
void observe_second_moments(const precis_call& call, const precis_tensor& activation,
                            const sdk::Parts& state);

// The moments of a state. Throws PRECIS_FAILED_PRECONDITION when no row was observed, and
// PRECIS_DATA_LOSS when their sums overflowed.
float* second_moments(const sdk::Parts& state, uint64_t columns);

// Upper U with U^T U the inverse of the damped moments, rows and columns in `order`, to `factor`
// [columns][columns] with kernels::inverse_factor_scratch(columns) numbers behind it. Channels that
// nothing ever reached count 1. percent: of the mean of the diagonal, added to it; more where that
// is not positive definite. Gives what was added; throws PRECIS_DATA_LOSS.
double damped_inverse_factor(const precis_call& call, const float* moments,
                             const std::vector<uint32_t>& order, double percent, float* factor);

// Throws PRECIS_DATA_LOSS when the values of a weight are not all finite: one that is not would
// spoil its whole row.
void check_finite(const precis_param& param, const void* values);

}  // namespace precis::plugins
