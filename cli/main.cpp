// The precis command. Every subcommand is a few lines over core and registry.
#include "cli/app.h"
#include "cli/crash.h"
#include "cli/networks_commands.h"
#include "cli/session.h"

int main(int argc, char** argv) {
  using namespace precis::cli;
  CLI::App app{"precis quantizes checkpoints of diffusion pipelines and transformers", "precis"};
  app.set_version_flag("--version", "precis 0.1.0");
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 bad use, 2 unreadable or unsupported input, 3 plugin, 4 memory or "
      "disk,\n"
      "5 quality, 6 verification, 130 interrupted (the same command goes on).");
  static Session session;
  watch_crashes(session.json);
  int result = kDone;
  for (const auto add :
       {add_inspect, add_plan, add_quantize, add_dequantize, add_convert, add_compare, add_verify,
        add_backends, add_config, add_doctor, add_new_plugin, add_networks_commands}) {
    add(app, session, result);
  }
  return run_app(app, argc, argv, session, result);
}
