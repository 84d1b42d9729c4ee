#include "core/engine/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "core/base/output_file.h"
#include "core/base/sha256.h"

namespace precis {
namespace {

using nlohmann::json;

std::string checksum(std::string_view text) {
  const Sha256Digest digest = sha256(std::as_bytes(std::span(text.data(), text.size())));
  return to_hex(std::span(digest).first(4));
}

std::string line_of(const std::string& body) {
  return checksum(body) + " " + body + "\n";
}

// The body of a line whose check sum is right; empty otherwise.
std::string body_of(const std::string& line) {
  const std::size_t space = line.find(' ');
  if (space == std::string::npos) return {};
  std::string body = line.substr(space + 1);
  return checksum(body) == line.substr(0, space) ? body : std::string{};
}

std::string entry_body(const JournalEntry& entry) {
  json digests = json::array();
  for (const TensorDigest& digest : entry.digests) digests.push_back(to_hex(digest));
  const ErrorStats& e = entry.error;
  return json{{"tensor", entry.tensor},
              {"digests", digests},
              {"error",
               {e.sum_squared_error, e.sum_squared_original, e.max_absolute_error, e.elements,
                e.nonfinite_original, e.nonfinite_decoded, e.nonfinite_changed}}}
      .dump();
}

TensorDigest digest_from_hex(const std::string& text) {
  TensorDigest digest{};
  for (std::size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<uint8_t>(std::stoul(text.substr(i * 2, 2), nullptr, 16));
  }
  return digest;
}

JournalEntry parse_entry(const std::string& body) {
  const json object = json::parse(body);
  JournalEntry entry;
  entry.tensor = object.at("tensor");
  for (const json& digest : object.at("digests")) {
    entry.digests.push_back(digest_from_hex(digest.get<std::string>()));
  }
  const json& e = object.at("error");
  entry.error = {e.at(0), e.at(1), e.at(2), e.at(3), e.at(4), e.at(5), e.at(6)};
  return entry;
}

Status write_all(int descriptor, const std::filesystem::path& path, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error(path, "write", errno);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

Result<Journal> Journal::open(const std::filesystem::path& path, const std::string& fingerprint,
                              bool resume) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return system_error(path, "open the journal", errno);
  Journal journal(descriptor, path);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    return Error(ErrorCode::failed_precondition,
                 fmt::format("{}: another process is writing this result", path.string()),
                 "wait for it to finish, or write to another place");
  }
  PRECIS_ASSIGN(std::string contents, read_file(path, uint64_t{1} << 30));
  if (!resume) contents.clear();

  // The header line names the fingerprint; every line after it is an entry. The file is cut behind
  // the last line that is whole, and a line torn by a kill goes with the rest.
  std::size_t valid = 0;
  bool same = false;
  for (std::size_t begin = 0; begin < contents.size();) {
    const std::size_t end = contents.find('\n', begin);
    if (end == std::string::npos) break;
    const std::string body = body_of(contents.substr(begin, end - begin));
    if (body.empty()) break;
    if (begin == 0) {
      same = body == fingerprint;
      if (!same) break;
    } else {
      journal.finished_.push_back(parse_entry(body));
    }
    begin = end + 1;
    valid = begin;
  }
  journal.replaced_ = !same && !contents.empty();
  if (::ftruncate(descriptor, static_cast<off_t>(same ? valid : 0)) != 0 ||
      ::lseek(descriptor, 0, SEEK_END) < 0) {
    return system_error(path, "cut the journal", errno);
  }
  if (!same) PRECIS_TRY(write_all(descriptor, path, line_of(fingerprint)));
  return journal;
}

Journal::Journal(Journal&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      path_(std::move(other.path_)),
      finished_(std::move(other.finished_)),
      replaced_(other.replaced_) {}

Journal::~Journal() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status Journal::append(const JournalEntry& entry) {
  const std::string line = line_of(entry_body(entry));
  std::lock_guard lock(mutex_);
  return write_all(descriptor_, path_, line);
}

}  // namespace precis
