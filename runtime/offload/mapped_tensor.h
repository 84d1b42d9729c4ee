// Tensors whose memory is a file's: pages come in when they are touched, and can be let go again.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstddef>
#include <memory>
#include <span>

namespace precis {

// A contiguous tensor over `memory`, a mapping of a file. `owner` keeps the mapping. memory has the
// tensor's size and is aligned to its items.
at::Tensor mapped_tensor(std::span<std::byte> memory, std::shared_ptr<const void> owner,
                         at::ScalarType type, at::IntArrayRef shape);

// Whether mapped_tensor() made the tensor, or the one that it is a view of.
bool is_mapped(const at::Tensor& tensor);

// Hints about a mapped tensor; others are left alone. Numbers never change by them, unless a tensor
// of a private mapping (stored_tensor) was written to: releasing brings the file's back. [any
// thread]
void prefetch_weight(const at::Tensor& weight);  // will be used soon
void release_weight(const at::Tensor& weight);   // may leave memory until it is used
// The same for all parameters and buffers of a module and those below it.
void prefetch_weights(const torch::nn::Module& module);
void release_weights(const torch::nn::Module& module);

// From now on a layer that has the mapped tensor among its weights releases it after every call
// through an AnyLayer: only the layer at work is in memory.
void stream_weight(const at::Tensor& weight);
// What AnyLayer does around a call.
void prefetch_streamed(const torch::nn::Module& layer);
void release_streamed(const torch::nn::Module& layer);

}  // namespace precis
