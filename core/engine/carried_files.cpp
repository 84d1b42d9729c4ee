#include "core/engine/carried_files.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "core/base/output_file.h"
#include "core/base/sha256.h"
#include "core/engine/provenance.h"

namespace precis {

namespace fs = std::filesystem;

namespace {

// Changes when the file's size, time or header changes.
std::string file_stamp(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return "missing";
  return fmt::format("{}:{}.{}", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

}  // namespace

// model_index.json, tokenizers and the rest are copied; their sizes count.
Status add_carried_files(const Checkpoint& checkpoint, const std::set<fs::path>& stale,
                         Plan& plan) {
  for (const fs::path& relative : checkpoint.other_files) {
    if (stale.count(relative) != 0) continue;
    std::error_code error;
    const uint64_t size = fs::file_size(checkpoint.root / relative, error);
    if (error) {
      return Error(ErrorCode::io,
                   fmt::format("{}: cannot read its size", (checkpoint.root / relative).string()));
    }
    plan.carried_files.push_back(relative);
    plan.source_bytes += size;
    plan.output_bytes += size;
  }
  return {};
}

// The files of a component that no plugin reads. Its weight files are counted already.
Status add_carried_component(const Checkpoint& checkpoint, std::size_t index, Plan& plan) {
  uint64_t total = 0;
  for (const fs::path& relative : checkpoint.components[index].source_files) {
    std::error_code error;
    total += fs::file_size(checkpoint.root / relative, error);
    if (error) return system_error(checkpoint.root / relative, "read the size of", error.value());
    plan.carried_files.push_back(relative);
  }
  plan.source_bytes += total - plan.components[index].source_bytes;
  plan.output_bytes += total - plan.components[index].source_bytes;
  return {};
}

std::string fingerprint_of(const Checkpoint& checkpoint, const Plan& plan) {
  Sha256 hash;
  hash.update(kVersion);
  for (const Component& component : checkpoint.components) {
    for (const auto& file : component.files) {
      hash.update(fmt::format("{}|{};", file->path().string(), file_stamp(file->path())));
    }
  }
  for (const fs::path& path : plan.carried_files) {
    hash.update(fmt::format("{}|{};", path.string(), file_stamp(checkpoint.root / path)));
  }
  for (const TextFilePlan& text : plan.text_files) {
    hash.update(text.path.string());
    hash.update(text.contents);
  }
  for (const ComponentPlan& component : plan.components) {
    for (const OutputFilePlan& file : component.files) hash.update(file.layout.header);
    for (const TensorPlan& tensor : component.tensors) {
      hash.update(action_name(tensor.action));
      if (tensor.conversion == Conversion::exact) hash.update("exact");
      if (tensor.quantizer) hash.update(tensor.quantizer->plugin_version());
      if (tensor.source.param.importance) {
        const auto& values = *tensor.source.param.importance;
        hash.update(std::as_bytes(std::span(values)));
      }
    }
  }
  return to_hex(hash.finish());
}

}  // namespace precis
