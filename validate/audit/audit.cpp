#include "validate/audit/audit.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "core/base/output_file.h"
#include "core/base/sha256.h"
#include "precis/entry.h"
#include "registry/plugins/trust.h"

namespace precis::validate {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostLibraryBytes = uint64_t{4} << 30;

// What a plugin may need from the system: the C and C++ run-time libraries, and the compilers' own.
// Whatever else it uses it links statically, and a device's driver it opens when it first calls it.
constexpr std::array<std::string_view, 12> kAllowed{
    "libc.so.6",      "libm.so.6",      "libdl.so.2",           "libpthread.so.0",
    "librt.so.1",     "libgcc_s.so.1",  "libstdc++.so.6",       "libc++.so.1",
    "libc++abi.so.1", "libunwind.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"};

bool is_driver(std::string_view library) {
  return library.starts_with("libcuda.so") || library.starts_with("libamdhip64.so");
}

std::string joined(const std::vector<std::string>& items) {
  return fmt::format("{}", fmt::join(items, ", "));
}

Verdict is_elf(const AuditedFile& file) {
  if (!file.elf) return *file.elf_error;
  constexpr uint16_t kMachine =
#if defined(__x86_64__)
      EM_X86_64;
#else
      EM_AARCH64;
#endif
  if (file.elf->machine != kMachine)
    return violation("it is for machine {}, this one is {}", file.elf->machine, kMachine);
  return {};
}

Verdict exports_entry_alone(const AuditedFile& file) {
  if (!file.elf) return Verdict::skip("no ELF file");
  std::vector<std::string> others;
  bool entry = false;
  for (const ElfSymbol& symbol : file.elf->symbols) {
    if (symbol.exported && symbol.name == PRECIS_ENTRY_SYMBOL) entry = true;
    // Unique symbols have a rule of their own.
    else if (symbol.exported && !symbol.unique && others.size() < 10)
      others.push_back(symbol.name);
  }
  if (!entry) return violation("it does not export {}", PRECIS_ENTRY_SYMBOL);
  if (others.empty()) return {};
  return violation("it exports {} as well; hide them (-fvisibility=hidden, a version script)",
                   joined(others));
}

Verdict no_unique_symbols(const AuditedFile& file) {
  if (!file.elf) return Verdict::skip("no ELF file");
  std::vector<std::string> names;
  for (const ElfSymbol& symbol : file.elf->symbols) {
    if (symbol.unique && names.size() < 10) names.push_back(symbol.name);
  }
  if (names.empty()) return {};
  return violation("{} are shared by all libraries of the process; build with -fno-gnu-unique",
                   joined(names));
}

Verdict no_text_relocations(const AuditedFile& file) {
  if (!file.elf) return Verdict::skip("no ELF file");
  if (!file.elf->text_relocations) return {};
  return violation("its code is changed while it is loaded; compile all of it with -fPIC");
}

Verdict no_executable_stack(const AuditedFile& file) {
  if (!file.elf) return Verdict::skip("no ELF file");
  if (!file.elf->executable_stack) return {};
  return violation(
      "it makes the stacks of the whole process executable; link with "
      "-z noexecstack and mark assembler files with .note.GNU-stack");
}

Verdict needs_the_system_alone(const AuditedFile& file) {
  if (!file.elf) return Verdict::skip("no ELF file");
  std::vector<std::string> others;
  for (const std::string& library : file.elf->needed) {
    if (std::find(kAllowed.begin(), kAllowed.end(), library) == kAllowed.end())
      others.push_back(library);
  }
  if (others.empty()) return {};
  if (std::all_of(others.begin(), others.end(), is_driver))
    return violation(
        "it needs {}, and so does not load where there is no such device; open it when it is first "
        "called, as the static CUDA runtime does",
        joined(others));
  return violation(
      "it needs {}; link them statically with hidden symbols, and bring no OpenMP and "
      "no LibTorch",
      joined(others));
}

Verdict no_search_path(const AuditedFile& file) {
  if (!file.elf) return Verdict::skip("no ELF file");
  if (file.elf->search_path.empty()) return {};
  return violation("its RPATH or RUNPATH {} lets whoever can write there replace its libraries",
                   joined(file.elf->search_path));
}

// "2.34" as {2, 34, 0}; nothing for a text that is no version.
std::optional<std::array<uint32_t, 3>> version_numbers(std::string_view text) {
  std::array<uint32_t, 3> numbers{};
  for (std::size_t i = 0; i < numbers.size() && !text.empty(); ++i) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), numbers[i]);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.empty() && text.front() == '.') text.remove_prefix(1);
  }
  return text.empty() ? std::optional(numbers) : std::nullopt;
}

Verdict runs_on_the_baseline(const AuditedFile& file) {
  if (!file.elf) return Verdict::skip("no ELF file");
  const std::array<std::pair<std::string_view, std::string_view>, 3> limits{
      {{"GLIBC_", file.limits.glibc},
       {"GLIBCXX_", file.limits.glibcxx},
       {"CXXABI_", file.limits.cxxabi}}};
  for (const ElfVersionNeed& need : file.elf->versions) {
    for (const auto& [prefix, limit] : limits) {
      if (!need.version.starts_with(prefix)) continue;
      const auto needed = version_numbers(std::string_view(need.version).substr(prefix.size()));
      if (needed && *needed > version_numbers(limit).value_or(std::array<uint32_t, 3>{})) {
        return violation("it needs {} of {}, the limit is {}{}; build it on an older system",
                         need.version, need.library, prefix, limit);
      }
    }
  }
  return {};
}

Verdict has_manifest(const AuditedFile& file) {
  if (!file.manifest) return *file.manifest_error;
  if (file.manifest->platform != host_platform())
    return violation("{} is for {}, this is {}", file.manifest->path.string(),
                     file.manifest->platform, host_platform());
  return {};
}

Verdict hash_agrees(const AuditedFile& file) {
  if (!file.manifest) return Verdict::skip("no manifest");
  if (file.manifest->sha256 == file.sha256) return {};
  return violation("its SHA-256 is {}, {} says {}", file.sha256, file.manifest->path.string(),
                   file.manifest->sha256);
}

Verdict nobody_else_can_change_it(const AuditedFile& file) {
  PRECIS_TRY(check_permissions(file.path));
  if (file.manifest) PRECIS_TRY(check_permissions(file.manifest->path));
  return {};
}

constexpr AuditRule kRules[] = {
    {"audit.elf", "B1", "the library is an ELF shared object for this machine", is_elf},
    {"audit.exports", "B1", "it exports precis_plugin_entry_v1 and nothing else",
     exports_entry_alone},
    {"audit.unique-symbols", "B2", "no symbol is unique in the process (STB_GNU_UNIQUE)",
     no_unique_symbols},
    {"audit.text-relocations", "B3", "its code needs no relocation", no_text_relocations},
    {"audit.executable-stack", "B3", "it asks for no executable stack", no_executable_stack},
    {"audit.needed", "B4", "it needs the system's C and C++ libraries and nothing else",
     needs_the_system_alone},
    {"audit.search-path", "B5", "it has no RPATH and no RUNPATH", no_search_path},
    {"audit.baseline", "B6", "it needs no newer GLIBC, GLIBCXX or CXXABI than the limit",
     runs_on_the_baseline},
    {"audit.manifest", "B7", "NAME.precis-plugin.json beside it can be read and names it",
     has_manifest},
    {"audit.hash", "B7", "the manifest has the library's SHA-256", hash_agrees},
    {"audit.permissions", "L2", "nobody else can change it, its manifest or a folder above them",
     nobody_else_can_change_it}};

bool is_manifest(const fs::path& path) {
  return path.filename().string().ends_with(kManifestSuffix);
}

Result<Manifest> read_manifest(const fs::path& path) {
  PRECIS_ASSIGN(const std::string text, read_file(path, kMaxManifestBytes));
  return parse_manifest(text, path);
}

// The manifest beside `library` that names it; the error of one that cannot be read, else that
// there is none.
Result<Manifest> manifest_of(const fs::path& library) {
  std::optional<Error> unreadable;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(library.parent_path(), error)) {
    if (!is_manifest(entry.path())) continue;
    auto manifest = read_manifest(entry.path());
    if (manifest.ok() && manifest->library == library.filename()) return manifest;
    if (!manifest.ok()) unreadable = manifest.error();
  }
  if (unreadable) return *unreadable;
  return Error(ErrorCode::not_found,
               fmt::format("no {} beside {} names it", kManifestSuffix, library.string()),
               "precis_add_plugin writes one");
}

}  // namespace

std::span<const AuditRule> audit_rules() {
  return kRules;
}

Result<AuditedFile> read_audited(const fs::path& library, const AuditLimits& limits) {
  AuditedFile file;
  file.path = fs::absolute(library);
  file.limits = limits;
  PRECIS_ASSIGN(const std::string text, read_file(file.path, kMostLibraryBytes));
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  file.sha256 = to_hex(sha256(bytes));
  auto elf = read_elf(bytes);
  if (elf.ok())
    file.elf = *std::move(elf);
  else
    file.elf_error = elf.error();
  auto manifest = manifest_of(file.path);
  if (manifest.ok())
    file.manifest = *std::move(manifest);
  else
    file.manifest_error = manifest.error();
  return file;
}

Result<std::vector<fs::path>> libraries_of(const fs::path& path) {
  std::error_code error;
  if (is_manifest(path)) {
    PRECIS_ASSIGN(const Manifest manifest, read_manifest(path));
    return std::vector<fs::path>{manifest.library_path()};
  }
  if (!fs::is_directory(path, error)) {
    if (fs::exists(path, error)) return std::vector<fs::path>{path};
    return Error(ErrorCode::not_found, fmt::format("{}: there is no such file", path.string()),
                 "name a plugin's library, its manifest, or a folder of plugins");
  }
  std::vector<fs::path> found;
  for (auto entry = fs::recursive_directory_iterator(path, error);
       entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (entry.depth() >= 1) entry.disable_recursion_pending();
    if (entry->path().extension() == ".so") found.push_back(entry->path());
  }
  std::sort(found.begin(), found.end());
  if (!found.empty()) return found;
  return Error(ErrorCode::not_found, fmt::format("{}: no library in or below it", path.string()),
               "a plugin's folder has a .so and a manifest");
}

}  // namespace precis::validate
