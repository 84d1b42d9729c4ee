// What an ELF shared library says of itself, read from its bytes without loading it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace precis::validate {

struct ElfSymbol {
  std::string name;
  bool defined = false;
  bool exported = false;  // defined, and other libraries may bind to it
  bool unique = false;    // STB_GNU_UNIQUE: one definition for the whole process
};

// A version that the library asks of one it needs: "GLIBC_2.34" of "libc.so.6".
struct ElfVersionNeed {
  std::string library, version;
};

struct ElfLibrary {
  uint16_t machine = 0;                  // EM_X86_64 is 62, EM_AARCH64 183
  std::vector<std::string> needed;       // DT_NEEDED
  std::vector<std::string> search_path;  // DT_RPATH and DT_RUNPATH
  std::vector<ElfSymbol> symbols;        // of the dynamic table
  std::vector<ElfVersionNeed> versions;
  bool text_relocations = false;
  bool executable_stack = false;
};

// Reads the program headers and the dynamic section of a 64-bit little-endian shared object;
// section headers, which strip removes, are not looked at. Every offset and count is checked
// against the file. Errors: data_loss, saying what is wrong with which table. Source: System V ABI,
// gABI 4.1 chapter 5, and the GNU extensions DT_GNU_HASH, DT_VERNEED, PT_GNU_STACK of
// binutils 2.40.
Result<ElfLibrary> read_elf(std::span<const std::byte> file);

}  // namespace precis::validate
