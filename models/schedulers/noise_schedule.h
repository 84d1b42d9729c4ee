// The variance-preserving noise of training that DPM-Solver and DDIM step back through.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

namespace precis::models {

// alphas_cumprod of scheduler_config.json: products of 1 - beta over num_train_timesteps, float32.
// beta_schedule: linear, scaled_linear, squaredcos_cap_v2; trained_betas. Error:
// std::invalid_argument for others.
std::vector<float> alphas_cumprod(const nlohmann::json& config);

// Whole numbers from `begin` in equal steps to `end`, `count` of them, rounded half to even.
std::vector<int64_t> rounded_linspace(double begin, double end, int64_t count);

}  // namespace precis::models
