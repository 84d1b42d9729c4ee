// Which tensor of a checkpoint fills which parameter or buffer of a model.
#pragma once

#include <torch/nn/module.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/engine/logical_tensor.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis {

class TensorPlaces {
 public:
  struct Place {
    std::string name;   // in the model
    at::Tensor target;  // the parameter or buffer itself
  };
  using StoredNames = std::function<std::vector<std::string>(const std::string& name)>;

  // stored_names: see LoadOptions. No tensor fills two places.
  TensorPlaces(torch::nn::Module& model, const std::vector<LogicalTensor>& tensors,
               const StoredNames& stored_names);

  // The place of tensors[index]; null: the model has none.
  const Place* of(std::size_t index) const;
  // Names of the model that no tensor fills.
  const std::vector<std::string>& missing() const { return missing_; }

  // Error data_loss naming the first tensor whose shape is not its place's.
  Status check_shapes(const std::vector<LogicalTensor>& tensors) const;

 private:
  std::map<std::size_t, Place> places_;  // by the tensor's index
  std::vector<std::string> missing_;
};

// Error data_loss listing the first of the names; ok when there are none.
Status nothing_missing(const std::vector<std::string>& names);

}  // namespace precis
