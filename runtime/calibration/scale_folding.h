// Dividing the activation of a group by scales, in what produces it: a norm's weight and bias, or
// the rows of a Linear whose outputs reach the group through linear operations alone.
#pragma once

#include <torch/nn/module.h>

#include <functional>
#include <string>
#include <vector>

#include "core/engine/plan.h"
#include "runtime/calibration/encoded_store.h"
#include "runtime/calibration/stage_layers.h"

namespace precis {

// A tensor of the checkpoint with other values than the source has.
struct ReplacedTensor {
  PlannedTensor planned;
  at::Tensor values;  // contiguous, in the checkpoint's dtype

  EncodedTensor encoded() const;
};

class ScaleFolding {
 public:
  // Who produces what is knowledge of the model's family (families.json). network and plan outlive
  // the object; stored_names as CalibrateOptions has it.
  ScaleFolding(torch::nn::Module& network, ComponentPlan& plan,
               const std::function<std::vector<std::string>(const std::string&)>& stored_names);

  // The path of the module that produces the group's input and nothing else's; empty: none is
  // known, or what it would change cannot be changed.
  std::string producer_of(const LayerGroup& group) const;

  // Groups of methods that scale come before the layers that produce their input: these are
  // quantized with the scales folded in.
  void sort(std::vector<LayerGroup>& groups) const;

  // Divides the producer's output by `scales` and multiplies the group's weights, in the network.
  // Returns all that changed. scales undefined: nothing does.
  Result<std::vector<ReplacedTensor>> apply(const LayerGroup& group, const std::string& producer,
                                            const at::Tensor& scales) const;

  static std::vector<std::string> names(const std::vector<ReplacedTensor>& tensors);

  // Makes the plan read these tensors from `file`, and copies them into the network.
  Status take_over(const std::shared_ptr<const Container>& file,
                   const std::vector<std::string>& names) const;

 private:
  struct Place {
    std::size_t tensor;     // of the plan
    std::string parameter;  // of the network
  };
  const Place* place_of(const std::string& parameter) const;
  at::Tensor parameter(const std::string& name) const;
  Result<ReplacedTensor> replace(const std::string& parameter, const at::Tensor& values) const;

  torch::nn::Module& network_;
  ComponentPlan& plan_;
  std::vector<Place> places_;
};

}  // namespace precis
