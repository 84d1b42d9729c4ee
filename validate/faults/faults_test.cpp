// Every rule is broken by a plugin that breaks no other, and its test is the only one that says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>

#include "core/base/output_file.h"
#include "core/base/sha256.h"
#include "validate/audit/audit.h"
#include "validate/rules/rule.h"

namespace precis::validate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<std::string> rule_ids() {
  std::vector<std::string> ids;
  for (const AuditRule& rule : audit_rules()) ids.emplace_back(rule.id);
  for (const Rule& rule : all_rules()) ids.emplace_back(rule.id);
  return ids;
}

// Further plugins that break a rule: the rule's name and a word.
const std::vector<std::string> kOtherFaults{"audit.needed.driver", "plan.device.unlisted",
                                            "factory.devices.unlisted"};

std::vector<std::string> faults() {
  std::vector<std::string> list = rule_ids();
  list.insert(list.end(), kOtherFaults.begin(), kOtherFaults.end());
  return list;
}

// "plan.device" of "plan.device.unlisted".
std::string rule_of(const std::string& fault) {
  return fault.substr(0, fault.find('.', fault.find('.') + 1));
}

std::string sha256_of(const fs::path& file) {
  const std::string bytes = *read_file(file, 1 << 30);
  return to_hex(sha256(std::as_bytes(std::span(bytes.data(), bytes.size()))));
}

// A folder with a copy of the library that was built for a fault, and a manifest for it.
class Fault {
 public:
  explicit Fault(const std::string& rule) {
    folder_ = fs::path(PRECIS_BINARY_DIR) / fmt::format("faults_test.{}.{}", ::getpid(), rule);
    fs::create_directories(folder_);
    ::chmod(folder_.c_str(), 0755);
    const fs::path built = fs::path(PRECIS_BINARY_DIR) / "tests/faults";
    const bool own = fs::exists(built / (rule + ".so"));
    fs::copy_file(built / ((own ? rule : "sound") + ".so"), library());
    if (rule == "audit.elf") std::ofstream(library()) << "text";
    ::chmod(library().c_str(), 0644);
    json manifest{
        {"manifest_version", 1},
        {"id", "my_method"},
        {"version", "1.0"},
        {"license", "Apache-2.0"},
        {"description", "a fault"},
        {"library", "fault.so"},
        {"sha256", sha256_of(library())},
        {"abi", {{"major", PRECIS_ABI_MAJOR}, {"minor", PRECIS_ABI_MINOR}, {"min_host_minor", 0}}},
        {"platform", host_platform()},
        {"devices", {"cpu"}},
        {"capabilities", {PRECIS_QUANTIZE_1, PRECIS_LINEAR_1}},
        {"quant_methods", {{{"name", "my_method"}, {"method", "my_method"}}}},
        {"presets",
         {{{"name", "my_method"},
           {"method", "my_method"},
           {"config", {{"quant_method", "my_method"}}},
           {"summary", "a fault"}}}}};
    // What no library can do wrong by itself.
    if (rule == "audit.hash") manifest["sha256"] = std::string(64, '0');
    if (rule == "audit.manifest") manifest["platform"] = "linux-vax";
    if (rule == "entry.manifest") manifest["abi"]["minor"] = PRECIS_ABI_MINOR + 1;
    if (rule == "factory.manifest") manifest["quant_methods"][0]["method"] = "another";
    if (rule == "factory.devices" || rule == "plan.listed-device")
      manifest["devices"] = {"cpu", "cuda"};
    if (rule == "factory.capabilities") manifest["capabilities"] = json::array({"precis.grid/2"});
    std::ofstream(folder_ / ("my_method" + std::string(kManifestSuffix))) << manifest.dump();
    if (rule == "audit.permissions") ::chmod(folder_.c_str(), 0777);
  }
  ~Fault() { fs::remove_all(folder_); }

  const fs::path& folder() const { return folder_; }

 private:
  fs::path library() const { return folder_ / "fault.so"; }
  fs::path folder_;
};

// The rules that fail, by running the program as an author does.
std::set<std::string> failures(const std::string& command, const fs::path& plugin,
                               const std::string& options) {
  // A machine with one CUDA device, whatever this one has.
  const std::string line = fmt::format(
      "LD_LIBRARY_PATH={0}/tests/driver {0}/bin/precis-validate {1} {2} {3} --json 2>&1",
      PRECIS_BINARY_DIR, command, plugin.string(), options);
  std::FILE* pipe = ::popen(line.c_str(), "r");
  std::string text;
  char chunk[4096];
  for (std::size_t count = 0; (count = std::fread(chunk, 1, sizeof chunk, pipe)) > 0;)
    text.append(chunk, count);
  const int status = ::pclose(pipe);
  const json report = json::parse(text, nullptr, false);
  EXPECT_TRUE(report.is_object()) << text;
  std::set<std::string> failed;
  if (!report.is_object()) return failed;
  for (const json& result : report["results"]) {
    if (result["outcome"] == "failed") failed.insert(result["rule"]);
  }
  EXPECT_EQ(WEXITSTATUS(status), failed.empty() ? 0 : 6);
  return failed;
}

const bool kSanitized = std::string(PRECIS_SANITIZE) != "";

class FaultTest : public testing::TestWithParam<std::string> {};

TEST_P(FaultTest, IsCaughtByItsRuleAlone) {
  const std::string& rule = GetParam();  // or a further fault of it
  if (kSanitized) GTEST_SKIP() << "sanitizers end a faulty plugin before its rule sees it";
  const Fault fault(rule);
  const bool audit = rule.starts_with("audit.");
  // Whatever runs at all needs something newer than this.
  const std::string options = rule == "audit.baseline" ? "--max-glibc 2.0" : "";
  EXPECT_THAT(failures(audit ? "audit" : "validate", fault.folder(), options),
              testing::ElementsAre(rule_of(rule)));
}
INSTANTIATE_TEST_SUITE_P(Rules, FaultTest, testing::ValuesIn(faults()), [](const auto& test) {
  std::string name = test.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '.' || c == '-'; }, '_');
  return name;
});

TEST(SoundPlugin, BreaksNoRule) {
  const Fault sound("sound");
  // A sanitizer is a library more.
  EXPECT_THAT(failures("validate", sound.folder(), kSanitized ? "--exclude audit.needed" : ""),
              testing::IsEmpty());
  EXPECT_THAT(failures("fuzz", sound.folder(), "--seconds 2"), testing::IsEmpty());
}

TEST(Rules, HaveAClauseAndAnExplanation) {
  std::set<std::string> ids;
  for (const Rule& rule : all_rules()) {
    EXPECT_TRUE(ids.insert(std::string(rule.id)).second) << rule.id;
    EXPECT_FALSE(rule.clause.empty()) << rule.id;
    EXPECT_FALSE(rule.explanation.empty()) << rule.id;
  }
}

}  // namespace
}  // namespace precis::validate
