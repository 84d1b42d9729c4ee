// The networks live in a program of their own, so that `precis` starts without loading LibTorch and
// its hundreds of megabytes.
#include "cli/networks_commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace precis::cli {
namespace {

// Beside this program, in the build tree as in an installation.
std::filesystem::path networks_program() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return self.parent_path() / "precis-networks";
}

// OpenMP's idle threads spin for milliseconds by default. On a machine that does other work too
// that makes an image take ten times as long; a short spin costs an idle machine a few percent.
void spin_shortly() {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("GOMP_SPINCOUNT", "300", /*overwrite=*/0);
}

// Becomes that program; comes back with an exit code only when it cannot.
int become(const std::string& command, const std::vector<std::string>& arguments,
           Session& session) {
  const std::string program = networks_program().string();
  std::vector<char*> argv{const_cast<char*>("precis"), const_cast<char*>(command.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  spin_shortly();
  execv(program.c_str(), argv.data());
  return session.fail(
      Error(ErrorCode::unsupported,
            fmt::format("`precis {}` needs {}, which is not there", command, program),
            "this build was made without LibTorch: configure with "
            "-DPRECIS_TORCH=ON"));
}

}  // namespace

int run_in_networks_program(Session& session) {
  std::vector<std::string> rest(session.arguments.begin() + 1, session.arguments.end());
  return become(session.arguments.front(), rest, session);
}

bool has_networks() {
  return access(networks_program().c_str(), X_OK) == 0;
}

void add_networks_commands(CLI::App& app, Session& session, int& result) {
  const std::pair<const char*, const char*> commands[] = {
      {"generate", "an image from a text, by a pipeline whose components may be quantized"},
      {"calibrate", "collect the importance of every weight's inputs from texts, for --imatrix"},
      {"embed", "the vectors of texts, by a BERT sentence encoder"},
      {"perplexity", "how well a Llama-style model predicts a text"},
      {"complete", "how a Llama-style model goes on with a text"}};
  for (const auto& [name, description] : commands) {
    auto* command = app.add_subcommand(name, description);
    command->prefix_command();
    command->set_help_flag();  // that program has the options and their help
    command->callback([command, &session, &result] {
      result = become(command->get_name(), command->remaining(), session);
    });
  }
}

}  // namespace precis::cli
