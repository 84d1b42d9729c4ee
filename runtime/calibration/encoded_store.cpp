#include "runtime/calibration/encoded_store.h"

#include <fmt/format.h>

#include <cstring>

#include "core/base/output_file.h"

namespace precis {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFingerprintFile = "fingerprint";
constexpr const char* kFacts = "precis.calibration";
constexpr uint64_t kLongestFingerprint = 4096;

}  // namespace

Result<EncodedStore> EncodedStore::open(fs::path directory, std::string fingerprint, bool resume) {
  std::error_code error;
  const fs::path marker = directory / kFingerprintFile;
  if (fs::exists(directory, error)) {
    const auto known = read_file(marker, kLongestFingerprint);
    if (!resume || !known.ok() || *known != fingerprint) fs::remove_all(directory, error);
  }
  fs::create_directories(directory, error);
  if (error) return system_error(directory, "create", error.value());
  PRECIS_TRY(write_file_atomically(marker, fingerprint));
  return EncodedStore(std::move(directory), std::move(fingerprint));
}

fs::path EncodedStore::path_of(std::size_t index) const {
  return directory_ / fmt::format("{:06}.safetensors", index);
}

std::shared_ptr<const Container> EncodedStore::find(std::size_t index) const {
  std::error_code error;
  if (!fs::exists(path_of(index), error)) return nullptr;
  auto file = Container::open(path_of(index));
  return file.ok() ? *std::move(file) : nullptr;
}

Result<std::shared_ptr<const Container>> EncodedStore::add(std::size_t index,
                                                           std::span<const EncodedTensor> tensors,
                                                           const nlohmann::json& facts) const {
  std::vector<PlannedTensor> planned;
  for (const EncodedTensor& tensor : tensors) {
    if (!tensor.planned.encoding.empty()) {
      return Error(ErrorCode::unsupported,
                   fmt::format("'{}' is stored as {}, which a calibration cannot keep",
                               tensor.planned.name, tensor.planned.encoding));
    }
    planned.push_back(tensor.planned);
  }
  PRECIS_ASSIGN(const FileLayout layout, plan_safetensors(planned, {{kFacts, facts.dump()}}));
  std::string contents = layout.header;
  contents.resize(layout.file_size);
  for (std::size_t i = 0; i < tensors.size(); ++i)
    std::memcpy(contents.data() + layout.offsets[i], tensors[i].bytes.data(),
                tensors[i].bytes.size());
  PRECIS_TRY(write_file_atomically(path_of(index), contents));
  return Container::open(path_of(index));
}

nlohmann::json EncodedStore::facts(const Container& file) {
  const auto found = file.metadata().find(kFacts);
  if (found == file.metadata().end() || !found->is_string()) return nlohmann::json::object();
  auto facts = nlohmann::json::parse(found->get<std::string>(), nullptr, false);
  return facts.is_object() ? facts : nlohmann::json::object();
}

void EncodedStore::remove() const {
  std::error_code error;
  fs::remove_all(directory_, error);
}

}  // namespace precis
