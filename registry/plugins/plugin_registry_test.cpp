#include "registry/plugins/plugin_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "core/abi/host.h"
#include "core/base/output_file.h"
#include "core/base/sha256.h"
#include "registry/plugins/trust.h"

namespace precis {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

// A folder with plugins made of the fake libraries that the build provides.
class PluginRegistryTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(PRECIS_BINARY_DIR) / ("plugin_registry_test." + std::to_string(::getpid()));
    fs::create_directories(folder_);
    ::chmod(folder_.c_str(), 0755);
  }
  void TearDown() override {
    fs::remove_all(folder_);
    for (const char* name :
         {"PRECIS_PLUGINS_ONLY", "PRECIS_PLUGINS_DISABLE", "PRECIS_PLUGIN_ALLOWLIST"})
      ::unsetenv(name);
  }

  // Installs the fake library of this variant under `id` and gives its folder.
  fs::path install(const std::string& variant, const std::string& id,
                   const json& changes = json::object()) {
    const fs::path home = folder_ / id, library = home / ("lib" + id + ".so");
    fs::create_directories(home);
    fs::copy_file(
        fs::path(PRECIS_BINARY_DIR) / "tests/fake_plugins" / ("libfake_" + variant + ".so"),
        library);
    ::chmod(library.c_str(), 0644);
    const std::string bytes = *read_file(library, 1 << 30);
    json manifest{
        {"manifest_version", 1},
        {"id", id},
        {"version", "1.0"},
        {"license", "Apache-2.0"},
        {"description", "a fake"},
        {"library", library.filename().string()},
        {"sha256", to_hex(sha256(std::as_bytes(std::span(bytes.data(), bytes.size()))))},
        {"abi", {{"major", PRECIS_ABI_MAJOR}, {"minor", PRECIS_ABI_MINOR}, {"min_host_minor", 0}}},
        {"platform", host_platform()},
        {"quant_methods",
         {{{"name", "fake"},
           {"libraries", {"diffusers"}},
           {"when", json::object()},
           {"method", "fake"}}}},
        {"presets", json::array()},
        {"devices", {"cpu"}},
        {"capabilities", json::array()}};
    manifest.update(changes);
    std::ofstream(home / (id + std::string(kManifestSuffix))) << manifest.dump();
    return home;
  }
  PluginStatus registry_status(const std::string& id) const {
    const PluginRegistry plugins(process_host().abi(), {folder_});
    for (const FoundPlugin& plugin : plugins.plugins()) {
      if (plugin.manifest.id == id) return plugin.status;
    }
    return PluginStatus::refused;
  }

  void expect_refused(const std::string& id, const std::string& why) const {
    PluginRegistry plugins(process_host().abi(), {folder_});
    const auto loaded = plugins.load(id);
    ASSERT_FALSE(loaded.ok()) << id;
    EXPECT_THAT(loaded.error().text(), HasSubstr(why));
    EXPECT_FALSE(loaded.error().hint().empty());
  }
  fs::path folder_;
};

TEST_F(PluginRegistryTest, APluginInPlainCLoads) {
  install("good", "good");
  PluginRegistry plugins(process_host().abi(), {folder_});
  ASSERT_EQ(plugins.plugins().size(), 1u);
  EXPECT_EQ(plugins.plugins()[0].status, PluginStatus::ready);
  const auto loaded = plugins.load("good");
  ASSERT_TRUE(loaded.ok()) << loaded.error().text();
  EXPECT_EQ(loaded->agreed_minor, PRECIS_ABI_MINOR);
  EXPECT_EQ(*loaded->method_index("fake"), 0u);
}

TEST_F(PluginRegistryTest, TwoPluginsStayTwo) {
  install("good", "one");
  install("init_fails", "two");
  PluginRegistry plugins(process_host().abi(), {folder_});
  EXPECT_TRUE(plugins.load("one").ok());
  EXPECT_FALSE(plugins.load("two").ok());
}

TEST_F(PluginRegistryTest, NegotiationRefusesWithItsReason) {
  install("bad_magic", "magic");
  install("short_entry", "short");
  install("other_major", "major");
  install("needs_newer_host", "newer");
  install("init_fails", "init");
  install("no_entry", "entry");
  install("unresolved", "symbol");
  install("null_member", "hole");
  install("null_init", "no_init");
  install(
      "good", "method",
      {{"quant_methods", {{{"name", "x"}, {"libraries", json::array()}, {"method", "absent"}}}}});
  install("good", "version",
          {{"abi", {{"major", PRECIS_ABI_MAJOR}, {"minor", 9}, {"min_host_minor", 0}}}});
  expect_refused("magic", "magic");
  expect_refused("short", "bytes instead of");
  expect_refused("major", "was built for ABI");
  expect_refused("newer", "needs ABI 1.99");
  expect_refused("init", "no licence");
  expect_refused("entry", PRECIS_ENTRY_SYMBOL);
  expect_refused("symbol", "cannot be loaded");
  expect_refused("hole", "null member");
  expect_refused("no_init", "null member");
  expect_refused("version", "manifest states another ABI version");
  PluginRegistry plugins(process_host().abi(), {folder_});
  EXPECT_THAT(plugins.load("method").error().text(), HasSubstr("'absent'"));
}

// A struct that is larger than anything mapped, flags and a minor that nobody knows: a later
// plugin.
TEST_F(PluginRegistryTest, ALaterPluginIsReadAsFarAsItIsKnown) {
  install("newer", "newer",
          {{"abi", {{"major", PRECIS_ABI_MAJOR}, {"minor", 9}, {"min_host_minor", 0}}}});
  PluginRegistry plugins(process_host().abi(), {folder_});
  const auto loaded = plugins.load("newer");
  ASSERT_TRUE(loaded.ok()) << loaded.error().text();
  EXPECT_EQ(loaded->agreed_minor, PRECIS_ABI_MINOR);
}

TEST_F(PluginRegistryTest, AFactoryOfNothingIsRefused) {
  install("no_factory", "factory");
  install("no_methods", "methods");
  expect_refused("factory", PRECIS_QUANTIZER_FACTORY_1);
  expect_refused("methods", "its method 1 is null");
}

TEST_F(PluginRegistryTest, AChangedLibraryIsRefused) {
  const fs::path home = install("good", "changed");
  std::ofstream(home / "libchanged.so", std::ios::app) << "x";
  expect_refused("changed", "SHA-256");
}

TEST_F(PluginRegistryTest, WhatOthersCanChangeIsRefused) {
  ::chmod((install("good", "file") / "libfile.so").c_str(), 0666);
  expect_refused("file", "can be changed by other users");
  const fs::path home = install("good", "parent");
  ::chmod(home.c_str(), 0777);
  expect_refused("parent", "can be changed by other users");
  ::chmod(home.c_str(), 0755);
}

TEST_F(PluginRegistryTest, ALinkIsJudgedByWhereItLeads) {
  const fs::path real = install("good", "real"), home = install("good", "linked");
  fs::remove(home / "liblinked.so");
  fs::create_symlink(real / "libreal.so", home / "liblinked.so");
  ::chmod(real.c_str(), 0777);
  expect_refused("linked", "can be changed by other users");
  ::chmod(real.c_str(), 0755);
}

// What is loaded is the file that was hashed, whatever its name leads to by then.
TEST_F(PluginRegistryTest, ALinkThatIsTurnedAfterTheCheckChangesNothing) {
  const fs::path good = install("good", "linked"), other = install("bad_magic", "other");
  fs::rename(good / "liblinked.so", good / "real.so");
  fs::create_symlink("real.so", good / "liblinked.so");
  const PluginRegistry plugins(process_host().abi(), {good});
  ASSERT_EQ(plugins.plugins().size(), 1u);
  const auto opened = open_trusted(plugins.plugins()[0].manifest);
  ASSERT_TRUE(opened.ok()) << opened.error().text();
  fs::remove(good / "liblinked.so");
  fs::create_symlink(other / "libother.so", good / "liblinked.so");
  const auto bytes = [](const fs::path& path) { return *read_file(path, 1 << 30); };
  EXPECT_EQ(bytes(opened->load_path()), bytes(good / "real.so"));
  EXPECT_NE(bytes(opened->load_path()), bytes(other / "libother.so"));
}

TEST_F(PluginRegistryTest, ALinkThatIsTurnedBeforeTheCheckIsRefused) {
  const fs::path good = install("good", "linked"), other = install("bad_magic", "other");
  const PluginRegistry before(process_host().abi(), {good});
  fs::remove(good / "liblinked.so");
  fs::create_symlink(other / "libother.so", good / "liblinked.so");
  expect_refused("linked", "SHA-256");
}

TEST_F(PluginRegistryTest, AParentThatOthersCanWriteToIsRefused) {
  const fs::path home = install("good", "deep");
  ::chmod(folder_.c_str(), 0777);
  expect_refused("deep", "can be changed by other users");
  // In a sticky directory nobody else can swap what is ours.
  ::chmod(folder_.c_str(), 01777);
  PluginRegistry sticky(process_host().abi(), {folder_});
  EXPECT_TRUE(sticky.load("deep").ok());
  ::chmod(folder_.c_str(), 0755);
}

TEST_F(PluginRegistryTest, AManifestThatOthersCanChangeIsRefused) {
  const fs::path home = install("good", "open");
  ::chmod((home / ("open" + std::string(kManifestSuffix))).c_str(), 0666);
  expect_refused("open", "can be changed by other users");
}

TEST_F(PluginRegistryTest, ALibraryThatIsNoRegularFileIsRefused) {
  const fs::path home = install("good", "odd");
  fs::remove(home / "libodd.so");
  fs::create_directory(home / "libodd.so");
  expect_refused("odd", "is not a regular file");
}

TEST_F(PluginRegistryTest, ALibraryCannotBeNamedOutsideOfItsFolder) {
  for (const std::string& library : std::vector<std::string>{
           "..", ".", "", "a/b.so", "../x.so", "/lib/libc.so.6", "a\\b", std::string("a\0b", 3)}) {
    fs::remove_all(folder_ / "outside");
    install("good", "outside", {{"library", library}});
    const PluginRegistry plugins(process_host().abi(), {folder_});
    ASSERT_EQ(plugins.plugins().size(), 1u);
    EXPECT_EQ(plugins.plugins()[0].status, PluginStatus::refused) << library;
  }
}

TEST_F(PluginRegistryTest, ManifestBombsAreRefusedAndStopNoOther) {
  install("good", "good");
  const auto plant = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder_ / (name + std::string(kManifestSuffix))) << text;
  };
  plant("deep", std::string(900000, '['));
  plant("large", std::string(kMaxManifestBytes + 1, ' '));
  plant("endless", "{\"id\": \"" + std::string(900000, 'a') + "\"}");
  plant("empty", "");
  ::mkfifo((folder_ / ("pipe" + std::string(kManifestSuffix))).c_str(), 0644);
  PluginRegistry plugins(process_host().abi(), {folder_});
  EXPECT_TRUE(plugins.load("good").ok());
  std::size_t refused = 0;
  for (const FoundPlugin& plugin : plugins.plugins())
    refused += plugin.status == PluginStatus::refused ? 1 : 0;
  EXPECT_EQ(refused, 5u);
}

TEST_F(PluginRegistryTest, ManifestsAreReadStrictly) {
  for (const auto& [changes, why] : std::vector<std::pair<json, std::string>>{
           {{{"library", "../libbad.so"}}, "plain file name"},
           {{{"library", "/lib/libc.so.6"}}, "plain file name"},
           {{{"sha256", "00"}}, "sha256"},
           {{{"manifest_version", 2}}, "manifest_version"},
           {{{"id", "../evil"}}, "id"},
           {{{"platform", "windows-arm64"}}, "is for windows-arm64"},
           {{{"requires", {{"cpu", {"avx9000"}}}}}, "avx9000"},
           {{{"presets", std::vector<int>(5000, 1)}}, "list of at most"},
           {{{"abi", 3}}, "abi"}}) {
    fs::remove_all(folder_ / "bad");
    install("good", "bad", changes);
    const PluginRegistry plugins(process_host().abi(), {folder_});
    ASSERT_EQ(plugins.plugins().size(), 1u);
    EXPECT_EQ(plugins.plugins()[0].status, PluginStatus::refused) << why;
    EXPECT_THAT(plugins.plugins()[0].error->text(), HasSubstr(why));
  }
}

TEST_F(PluginRegistryTest, ABombOfBracketsIsRefused) {
  const auto manifest = parse_manifest(std::string(500000, '['), "bomb.json");
  EXPECT_FALSE(manifest.ok());
  EXPECT_FALSE(parse_manifest(std::string(2 << 20, ' '), "large.json").ok());
}

TEST_F(PluginRegistryTest, ARefusedPluginStopsNoOther) {
  install("bad_magic", "bad");
  install("good", "good");
  PluginRegistry plugins(process_host().abi(), {folder_});
  EXPECT_FALSE(plugins.load("bad").ok());
  EXPECT_TRUE(plugins.load("good").ok());
}

TEST_F(PluginRegistryTest, ARefusedPluginLeavesItsPlaceToTheNextOfItsId) {
  for (const std::string broken : {"tampered", "writable", "bad_magic", "missing", "processor"}) {
    fs::remove_all(folder_ / "same");
    fs::remove_all(folder_ / "first");
    const bool whole = broken != "bad_magic";
    const fs::path home =
        install(whole ? "good" : "bad_magic", "same",
                broken == "processor" ? json{{"requires", {{"cpu", {"no_such_feature"}}}}}
                                      : json::object());
    const fs::path library = home / "libsame.so";
    if (broken == "tampered") std::ofstream(library, std::ios::app) << "x";
    if (broken == "writable") ::chmod(library.c_str(), 0666);
    if (broken == "missing") fs::remove(library);
    fs::rename(home, folder_ / "first");
    install("good", "same");
    PluginRegistry plugins(process_host().abi(), {folder_ / "first", folder_ / "same"});
    const auto loaded = plugins.load("same");
    ASSERT_TRUE(loaded.ok()) << broken << ": " << loaded.error().text();
    EXPECT_EQ(loaded->manifest->path.parent_path(), folder_ / "same") << broken;
    ASSERT_EQ(plugins.plugins().size(), 2u);
    EXPECT_EQ(plugins.plugins()[0].status, PluginStatus::refused) << broken;
    EXPECT_FALSE(plugins.plugins()[0].error->hint().empty()) << broken;
    EXPECT_EQ(plugins.plugins()[1].status, PluginStatus::ready) << broken;
  }
}

TEST_F(PluginRegistryTest, AMissingLibraryIsAMatterOfThePlugin) {
  fs::remove(install("good", "gone") / "libgone.so");
  expect_refused("gone", "libgone.so");
  PluginRegistry plugins(process_host().abi(), {folder_});
  EXPECT_EQ(plugins.load("gone").error().code(), ErrorCode::plugin);
}

TEST_F(PluginRegistryTest, LoadAllTellsWhichPluginsAreRefused) {
  const fs::path home = install("good", "changed");
  std::ofstream(home / "libchanged.so", std::ios::app) << "x";
  install("good", "good");
  PluginRegistry plugins(process_host().abi(), {folder_});
  plugins.load_all();
  EXPECT_EQ(plugins.plugins()[0].status, PluginStatus::refused);
  EXPECT_EQ(plugins.plugins()[1].status, PluginStatus::ready);
}

TEST_F(PluginRegistryTest, TheFirstFolderWins) {
  install("good", "same");
  const PluginRegistry plugins(process_host().abi(), {folder_, folder_});
  ASSERT_EQ(plugins.plugins().size(), 2u);
  EXPECT_EQ(plugins.plugins()[1].status, PluginStatus::shadowed);
}

TEST_F(PluginRegistryTest, GlobsChooseAndDisable) {
  install("good", "org.one");
  install("good", "org.two");
  ::setenv("PRECIS_PLUGINS_DISABLE", "*.two", 1);
  EXPECT_EQ(registry_status("org.one"), PluginStatus::ready);
  EXPECT_EQ(registry_status("org.two"), PluginStatus::disabled);
  ::setenv("PRECIS_PLUGINS_DISABLE", "", 1);
  ::setenv("PRECIS_PLUGINS_ONLY", "org.two", 1);
  EXPECT_EQ(registry_status("org.one"), PluginStatus::disabled);
  ::setenv("PRECIS_PLUGINS_ONLY", "net.*,org.[ot]*", 1);
  EXPECT_EQ(registry_status("org.one"), PluginStatus::ready);
  ::setenv("PRECIS_PLUGINS_DISABLE", "*", 1);
  EXPECT_EQ(registry_status("org.two"), PluginStatus::disabled);
}

TEST_F(PluginRegistryTest, AnAllowListAdmitsItsHashesAlone) {
  install("good", "listed");
  const fs::path list = folder_ / "allowed";
  std::ofstream(list) << std::string(64, '0') << "\n";
  ::chmod(list.c_str(), 0644);
  ::setenv("PRECIS_PLUGIN_ALLOWLIST", list.c_str(), 1);
  expect_refused("listed", "allow-list");
}

TEST(PluginSearchPath, NeverHoldsTheCurrentDirectory) {
  ::setenv("PRECIS_PLUGIN_PATH", ".:relative:/absolute", 1);
  for (const fs::path& path : plugin_search_path({})) EXPECT_TRUE(path.is_absolute()) << path;
  ::unsetenv("PRECIS_PLUGIN_PATH");
}

}  // namespace
}  // namespace precis
