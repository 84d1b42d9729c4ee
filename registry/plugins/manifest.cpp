#include "registry/plugins/manifest.h"

#include <fmt/format.h>

#include <algorithm>

namespace precis {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxItems = 1000;
constexpr int kMaxDepth = 16;

// Reads typed values of one object; throws a text that names the key.
struct BadManifest {
  std::string text;
};

class Reader {
 public:
  Reader(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) throw BadManifest{fmt::format("'{}' is not an object", where_)};
  }

  const json& at(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) throw BadManifest{fmt::format("'{}{}' is missing", where_, key)};
    return *found;
  }
  std::string text(const char* key) const {
    const json& value = at(key);
    if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
      throw BadManifest{fmt::format("'{}{}' is not a text", where_, key)};
    }
    return value.get<std::string>();
  }
  uint32_t number(const char* key) const {
    const json& value = at(key);
    if (!value.is_number_unsigned() || value.get<uint64_t>() > 1'000'000) {
      throw BadManifest{fmt::format("'{}{}' is not a small number", where_, key)};
    }
    return value.get<uint32_t>();
  }
  std::vector<std::string> texts(const char* key) const {
    std::vector<std::string> list;
    for (const json& item : array(key)) {
      if (!item.is_string())
        throw BadManifest{fmt::format("'{}{}' holds something else than texts", where_, key)};
      list.push_back(item.get<std::string>());
    }
    return list;
  }
  const json& array(const char* key) const {
    static const json kEmpty = json::array();
    const auto found = object_.find(key);
    if (found == object_.end()) return kEmpty;
    if (!found->is_array() || found->size() > kMaxItems) {
      throw BadManifest{
          fmt::format("'{}{}' is not a list of at most {} items", where_, key, kMaxItems)};
    }
    return *found;
  }
  json object(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) return json::object();
    if (!found->is_object()) throw BadManifest{fmt::format("'{}{}' is not an object", where_, key)};
    return *found;
  }

 private:
  const json& object_;
  std::string where_;
};

bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\\') == std::string::npos && name.find('\0') == std::string::npos;
}

bool is_sha256(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_identifier(const std::string& text) {
  return text.size() <= 128 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
         });
}

Manifest read(const json& document, const std::filesystem::path& path) {
  const Reader top(document, "");
  if (top.number("manifest_version") != 1) throw BadManifest{"'manifest_version' is not 1"};
  Manifest manifest;
  manifest.path = path;
  manifest.id = top.text("id");
  if (!is_identifier(manifest.id))
    throw BadManifest{"'id' may have letters, digits, '.', '-' and '_'"};
  manifest.version = top.text("version");
  manifest.license = top.text("license");
  manifest.description = top.text("description");
  manifest.library = top.text("library");
  if (!is_plain_name(manifest.library)) throw BadManifest{"'library' is not a plain file name"};
  manifest.sha256 = top.text("sha256");
  if (!is_sha256(manifest.sha256)) throw BadManifest{"'sha256' is not 64 lower-case hex digits"};
  const Reader abi(top.at("abi"), "abi.");
  manifest.abi_major = abi.number("major");
  manifest.abi_minor = abi.number("minor");
  manifest.min_host_minor = abi.number("min_host_minor");
  manifest.platform = top.text("platform");
  const json required = top.object("requires");
  manifest.requires_cpu = Reader(required, "requires.").texts("cpu");
  for (const json& item : top.array("quant_methods")) {
    const Reader entry(item, "quant_methods.");
    const json priority = item.value("priority", json(0));
    if (!priority.is_number_integer())
      throw BadManifest{"'quant_methods.priority' is not a whole number"};
    std::map<std::string, std::string> remarks;
    const json remarks_object = entry.object("remarks");
    const Reader remarks_reader(remarks_object, "quant_methods.remarks.");
    for (const auto& [library, text] : remarks_object.items())
      remarks[library] = remarks_reader.text(library.c_str());
    manifest.quant_methods.push_back({entry.text("name"), entry.texts("libraries"),
                                      entry.object("when"), entry.text("method"),
                                      priority.get<int>(), std::move(remarks)});
  }
  for (const json& item : top.array("presets")) {
    const Reader entry(item, "presets.");
    manifest.presets.push_back(
        {entry.text("name"), entry.text("method"), entry.object("config"), entry.text("summary")});
  }
  manifest.devices = top.texts("devices");
  manifest.capabilities = top.texts("capabilities");
  manifest.reads = top.texts("reads");
  manifest.writes = top.texts("writes");
  return manifest;
}

}  // namespace

Result<Manifest> parse_manifest(std::string_view text, const std::filesystem::path& path) {
  const auto fail = [&](std::string_view what) {
    return Error(ErrorCode::data_loss, fmt::format("{}: {}", path.string(), what),
                 "the plugin's author must mend its manifest");
  };
  if (text.size() > kMaxManifestBytes) return fail("is larger than a manifest may be");
  // The depth is checked while parsing, so that nested brackets cannot exhaust the stack.
  bool too_deep = false;
  const json document = json::parse(
      text,
      [&](int depth, json::parse_event_t, json&) {
        too_deep = too_deep || depth > kMaxDepth;
        return true;
      },
      false);
  if (document.is_discarded()) return fail("is not JSON");
  if (too_deep) return fail("is nested too deeply");
  try {
    return read(document, path);
  } catch (const BadManifest& error) {
    return fail(error.text);
  } catch (const json::exception& error) {
    return fail(error.what());
  }
}

std::string_view host_platform() {
#if defined(__linux__) && defined(__x86_64__)
  return "linux-x86_64";
#elif defined(__linux__) && defined(__aarch64__)
  return "linux-aarch64";
#else
  return "other";
#endif
}

}  // namespace precis
