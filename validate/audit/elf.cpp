#include "validate/audit/elf.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

namespace precis::validate {
namespace {

// A file has at most this many symbols, needed libraries and the like; damaged counts have more.
constexpr uint64_t kMostEntries = 1 << 20;

Error damaged(std::string_view what) {
  return Error(ErrorCode::data_loss, fmt::format("the ELF file is damaged: {}", what),
               "build the plugin again");
}

// Reads the tables of one file by the addresses that its loader would see.
class ElfReader {
 public:
  explicit ElfReader(std::span<const std::byte> file) : file_(file) {}

  Result<ElfLibrary> read() {
    PRECIS_TRY(read_header());
    PRECIS_TRY(read_segments());
    PRECIS_TRY(read_dynamic());
    PRECIS_TRY(read_symbols());
    PRECIS_TRY(read_versions());
    return std::move(library_);
  }

 private:
  template <typename T>
  std::optional<T> at(uint64_t offset) const {
    if (offset > file_.size() || file_.size() - offset < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, file_.data() + offset, sizeof value);
    return value;
  }

  // Where in the file the loader finds `address`.
  std::optional<uint64_t> offset_of(uint64_t address) const {
    for (const Elf64_Phdr& segment : loaded_) {
      if (address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz)
        return segment.p_offset + (address - segment.p_vaddr);
    }
    return std::nullopt;
  }
  template <typename T>
  std::optional<T> at_address(uint64_t address) const {
    const auto offset = offset_of(address);
    return offset ? at<T>(*offset) : std::nullopt;
  }

  std::optional<uint64_t> tag(int64_t wanted) const {
    const auto found = tags_.find(wanted);
    return found == tags_.end() ? std::nullopt : std::optional(found->second);
  }

  // A text of the dynamic string table.
  Result<std::string> text(uint64_t index) const {
    const auto table = tag(DT_STRTAB), size = tag(DT_STRSZ);
    const auto offset = table ? offset_of(*table) : std::nullopt;
    const uint64_t start = offset.value_or(0) + index;
    if (!offset || !size || index >= *size || start >= file_.size())
      return damaged("a name lies outside of the string table");
    const uint64_t room = std::min(*size - index, file_.size() - start);
    const char* begin = reinterpret_cast<const char*>(file_.data() + start);
    const void* end = std::memchr(begin, 0, room);
    if (end == nullptr) return damaged("a name has no end");
    return std::string(begin, static_cast<const char*>(end));
  }

  Status read_header() {
    const auto header = at<Elf64_Ehdr>(0);
    if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
      return Error(ErrorCode::data_loss, "it is no ELF file", "name a plugin's library");
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
      return Error(ErrorCode::data_loss, "it is no 64-bit little-endian ELF file",
                   "build the plugin for this platform");
    if (header->e_type != ET_DYN)
      return Error(ErrorCode::data_loss, "it is no shared library", "link it with -shared");
    header_ = *header;
    library_.machine = header->e_machine;
    return {};
  }

  Status read_segments() {
    library_.executable_stack = true;  // what Linux assumes where PT_GNU_STACK is absent
    for (uint64_t i = 0; i < header_.e_phnum; ++i) {
      const auto segment = at<Elf64_Phdr>(header_.e_phoff + i * sizeof(Elf64_Phdr));
      if (!segment || header_.e_phentsize != sizeof(Elf64_Phdr))
        return damaged("its program headers are cut off");
      if (segment->p_type == PT_LOAD) loaded_.push_back(*segment);
      if (segment->p_type == PT_DYNAMIC) dynamic_ = *segment;
      if (segment->p_type == PT_GNU_STACK)
        library_.executable_stack = (segment->p_flags & PF_X) != 0;
    }
    return {};
  }

  Status read_dynamic() {
    if (!dynamic_) return damaged("it has no dynamic section");
    std::vector<uint64_t> needed, paths;
    const uint64_t count = std::min(dynamic_->p_filesz / sizeof(Elf64_Dyn), kMostEntries);
    for (uint64_t i = 0; i < count; ++i) {
      const auto entry = at<Elf64_Dyn>(dynamic_->p_offset + i * sizeof(Elf64_Dyn));
      if (!entry) return damaged("its dynamic section is cut off");
      if (entry->d_tag == DT_NULL) break;
      if (entry->d_tag == DT_NEEDED) needed.push_back(entry->d_un.d_val);
      if (entry->d_tag == DT_RPATH || entry->d_tag == DT_RUNPATH)
        paths.push_back(entry->d_un.d_val);
      tags_[entry->d_tag] = entry->d_un.d_val;
    }
    library_.text_relocations =
        tag(DT_TEXTREL).has_value() || (tag(DT_FLAGS).value_or(0) & DF_TEXTREL) != 0;
    for (const uint64_t name : needed) {
      PRECIS_ASSIGN(std::string library, text(name));
      library_.needed.push_back(std::move(library));
    }
    for (const uint64_t name : paths) {
      PRECIS_ASSIGN(std::string path, text(name));
      library_.search_path.push_back(std::move(path));
    }
    return {};
  }

  // How many symbols the dynamic table has: only the hash tables know.
  Result<uint64_t> symbol_count() const {
    if (const auto hash = tag(DT_HASH)) {
      const auto chains = at_address<uint32_t>(*hash + sizeof(uint32_t));
      if (!chains) return damaged("its hash table is cut off");
      return uint64_t{*chains};
    }
    const auto hash = tag(DT_GNU_HASH);
    if (!hash) return uint64_t{0};
    const auto buckets = at_address<uint32_t>(*hash), first = at_address<uint32_t>(*hash + 4),
               bloom = at_address<uint32_t>(*hash + 8);
    if (!buckets || !first || !bloom || *buckets > kMostEntries)
      return damaged("its hash table is cut off");
    const uint64_t bucket_at = *hash + 16 + uint64_t{*bloom} * 8;
    uint64_t last = 0;
    for (uint64_t i = 0; i < *buckets; ++i) {
      const auto bucket = at_address<uint32_t>(bucket_at + i * 4);
      if (!bucket) return damaged("its hash table is cut off");
      last = std::max<uint64_t>(last, *bucket);
    }
    if (last < *first) return uint64_t{*first};
    for (uint64_t steps = 0; steps < kMostEntries; ++steps, ++last) {
      const auto link =
          at_address<uint32_t>(bucket_at + uint64_t{*buckets} * 4 + (last - *first) * 4);
      if (!link) return damaged("its hash table is cut off");
      if ((*link & 1u) != 0) return last + 1;
    }
    return damaged("its hash table has no end");
  }

  Status read_symbols() {
    const auto table = tag(DT_SYMTAB);
    PRECIS_ASSIGN(const uint64_t count, symbol_count());
    if (!table || count > kMostEntries) return damaged("its symbol table is missing or too long");
    for (uint64_t i = 1; i < count; ++i) {
      const auto entry = at_address<Elf64_Sym>(*table + i * sizeof(Elf64_Sym));
      if (!entry) return damaged("its symbol table is cut off");
      ElfSymbol symbol;
      PRECIS_ASSIGN(symbol.name, text(entry->st_name));
      const auto bind = ELF64_ST_BIND(entry->st_info);
      const auto visibility = ELF64_ST_VISIBILITY(entry->st_other);
      symbol.defined = entry->st_shndx != SHN_UNDEF;
      symbol.unique = symbol.defined && bind == STB_GNU_UNIQUE;
      // Absolute symbols are the names of versions.
      symbol.exported = symbol.defined && entry->st_shndx != SHN_ABS && bind != STB_LOCAL &&
                        (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
      library_.symbols.push_back(std::move(symbol));
    }
    return {};
  }

  Status read_versions() {
    auto needs = tag(DT_VERNEED);
    const uint64_t count = tag(DT_VERNEEDNUM).value_or(0);
    if (!needs) return {};
    if (count > kMostEntries) return damaged("its version table is too long");
    for (uint64_t i = 0; i < count; ++i) {
      const auto need = at_address<Elf64_Verneed>(*needs);
      if (!need) return damaged("its version table is cut off");
      PRECIS_ASSIGN(const std::string library, text(need->vn_file));
      uint64_t at = *needs + need->vn_aux;
      for (uint16_t j = 0; j < need->vn_cnt; ++j) {
        const auto version = at_address<Elf64_Vernaux>(at);
        if (!version) return damaged("its version table is cut off");
        PRECIS_ASSIGN(std::string name, text(version->vna_name));
        library_.versions.push_back({library, std::move(name)});
        at += version->vna_next;
      }
      *needs += need->vn_next;
    }
    return {};
  }

  std::span<const std::byte> file_;
  Elf64_Ehdr header_{};
  std::vector<Elf64_Phdr> loaded_;
  std::optional<Elf64_Phdr> dynamic_;
  std::map<int64_t, uint64_t> tags_;
  ElfLibrary library_;
};

}  // namespace

Result<ElfLibrary> read_elf(std::span<const std::byte> file) {
  return ElfReader(file).read();
}

}  // namespace precis::validate
