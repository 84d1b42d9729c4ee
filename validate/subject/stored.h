// A checkpoint with one quantized weight, in memory, as precis.loading/1 is shown it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "validate/subject/weights.h"

namespace precis::validate {

class StoredCheckpoint {
 public:
  StoredCheckpoint(const Weight& weight, std::vector<std::vector<std::byte>> parts,
                   std::string metadata = "{}");
  // All tensors of a checkpoint.
  explicit StoredCheckpoint(const InputCheckpoint& input)
      : tensors(input.tensors), bytes(input.bytes), metadata(input.metadata) {}
  StoredCheckpoint(const StoredCheckpoint&) = delete;
  StoredCheckpoint& operator=(const StoredCheckpoint&) = delete;

  // Tensors as the checkpoint has them; tests damage them before they ask.
  std::vector<PartSpec> tensors;
  std::vector<std::vector<std::byte>> bytes;
  std::string metadata;

  struct Found {
    Param param;
    std::vector<uint64_t> parts;  // indices into tensors
  };
  // The weight that was found, with its parts as it is stored. Errors: data_loss, where the plugin
  // names tensors that there are not.
  Result<Weight> weight_of(const Found& found) const;
  // What the plugin finds. Errors: its refusal.
  Result<std::vector<Found>> find(const Instance& instance);
  // Finds weights and decodes them as a loader does, whatever the bytes; the results are dropped.
  void decode_findings(const Instance& instance);

 private:
  void describe();
  static const precis_tensor_info* info(const precis_state_dict* dict, uint64_t index);
  static int64_t index_of(const precis_state_dict* dict, precis_str name);
  static precis_status read(const precis_state_dict* dict, uint64_t index, const precis_sink* out);
  static void emit(void* ctx, const precis_param* param, const uint64_t* parts, uint64_t count);

  std::vector<precis_tensor_info> infos_;
  std::vector<Found> found_;
};

// A weight that can be decoded: one that the input holds, else one that the preset writes. Nothing:
// there is neither.
std::optional<Weight> readable_weight(const Subject& subject, const Instance& instance);

}  // namespace precis::validate
