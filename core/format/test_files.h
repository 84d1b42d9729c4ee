// Bytes of weight files, built in the tests.
#pragma once

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

namespace precis::test {

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

template <typename T>
std::string little_endian(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

// A safetensors file with this header and data.
inline std::string safetensors_file(std::string_view header, std::string_view data = {}) {
  return little_endian(uint64_t{header.size()}) + std::string(header) + std::string(data);
}

// Builds the bytes of a GGUF file piece by piece; nothing is checked.
class GgufFile {
 public:
  explicit GgufFile(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
    bytes_ = "GGUF" + little_endian(version) + little_endian(tensors) + little_endian(keys);
  }
  GgufFile& raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  template <typename T>
  GgufFile& number(T value) {
    return raw(little_endian(value));
  }
  GgufFile& string(std::string_view text) { return number(uint64_t{text.size()}).raw(text); }
  GgufFile& key_u32(std::string_view key, uint32_t value) {
    return string(key).number(uint32_t{4}).number(value);
  }
  GgufFile& key_string(std::string_view key, std::string_view value) {
    return string(key).number(uint32_t{8}).string(value);
  }
  // dims: innermost first, as in the file.
  GgufFile& tensor(std::string_view name, std::initializer_list<uint64_t> dims, uint32_t type,
                   uint64_t offset) {
    string(name).number(static_cast<uint32_t>(dims.size()));
    for (const uint64_t size : dims) number(size);
    return number(type).number(offset);
  }
  GgufFile& pad(std::size_t alignment = 32) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment, '\0');
    return *this;
  }
  GgufFile& data(std::size_t size) { return raw(std::string(size, '\1')); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// A directory of its own for one test, removed afterwards.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "precis-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~ScratchDirectory() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Writes a file, making its directories.
  std::filesystem::path write(const std::filesystem::path& relative,
                              std::string_view content) const {
    const std::filesystem::path path = path_ / relative;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace precis::test
