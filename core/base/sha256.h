// SHA-256 through libcrypto.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace precis {

using Sha256Digest = std::array<uint8_t, 32>;

// Hashes pieces that arrive one after another. Not copyable; one thread at a time.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  // The digest of everything so far; call once.
  Sha256Digest finish();

 private:
  void* context_;
};

Sha256Digest sha256(std::span<const std::byte> bytes);

// Lower-case hexadecimal digits.
std::string to_hex(std::span<const uint8_t> bytes);

}  // namespace precis
