#include "runtime/calibration/encoded_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "core/base/output_file.h"

namespace precis {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFingerprintFile = "fingerprint";
constexpr const char* kScratchFile = "scratch";
constexpr const char* kFacts = "precis.calibration";
constexpr uint64_t kLongestFingerprint = 4096;
constexpr std::size_t kDigits = 6;  // of a file's number

// Whether a store writes files of this name, or of this name while they are being written.
bool is_own_file(std::string name) {
  constexpr std::string_view kUnfinished = ".tmp";
  if (name.ends_with(kUnfinished)) name.resize(name.size() - kUnfinished.size());
  if (name == kFingerprintFile || name == kScratchFile) return true;
  constexpr std::string_view kEnding = ".safetensors";
  if (!name.ends_with(kEnding)) return false;
  name.resize(name.size() - kEnding.size());
  const std::size_t before = name.find_last_not_of("0123456789");
  if (before == std::string::npos) return name.size() == kDigits;
  return name[before] == '.' && name.size() - before - 1 == kDigits;
}

// Whether a directory holds what a store writes and nothing else: only that may be removed.
bool is_store(const fs::path& directory) {
  std::error_code error;
  if (fs::symlink_status(directory, error).type() != fs::file_type::directory) return false;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    if (!is_own_file(entry.path().filename().string())) return false;
  }
  return !error;
}

}  // namespace

Result<EncodedStore> EncodedStore::open(fs::path directory, std::string fingerprint, bool resume) {
  std::error_code error;
  const fs::path marker = directory / kFingerprintFile;
  if (fs::symlink_status(directory, error).type() != fs::file_type::not_found) {
    const auto known = read_file(marker, kLongestFingerprint);
    if (!is_store(directory)) {
      return Error(
          ErrorCode::invalid_argument,
          fmt::format("{} is in the way: it is no unfinished calibration", directory.string()),
          "move it, or choose another output");
    }
    if (!resume || !known.ok() || *known != fingerprint) fs::remove_all(directory, error);
  }
  return EncodedStore(std::move(directory), std::move(fingerprint));
}

EncodedStore EncodedStore::section(const std::string& name) const {
  EncodedStore section = *this;
  if (!name.empty()) section.prefix_ += name + ".";
  return section;
}

fs::path EncodedStore::path_of(std::size_t index) const {
  return directory_ / fmt::format("{}{:0{}}.safetensors", prefix_, index, kDigits);
}

Status EncodedStore::make_directory() const {
  std::error_code error;
  const fs::path marker = directory_ / kFingerprintFile;
  if (fs::exists(marker, error)) return {};
  fs::create_directories(directory_, error);
  if (error) return system_error(directory_, "create", error.value());
  return write_file_atomically(marker, fingerprint_);
}

fs::path EncodedStore::scratch() const {
  return directory_ / kScratchFile;
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
  PRECIS_TRY(make_directory());
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
  if (is_store(directory_)) fs::remove_all(directory_, error);
}

}  // namespace precis
