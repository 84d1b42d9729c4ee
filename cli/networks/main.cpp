// The commands of `precis` that run networks; `precis` itself starts this program for them.
#include "cli/app.h"
#include "cli/crash.h"
#include "cli/networks/commands.h"

int main(int argc, char** argv) {
  using namespace precis::cli;
  CLI::App app{"The commands of precis that run networks", "precis"};
  app.require_subcommand(1);
  static Session session;
  watch_crashes(session.json);
  int result = kDone;
  add_generate(app, session, result);
  add_embed(app, session, result);
  add_perplexity(app, session, result);
  add_complete(app, session, result);
  add_calibrate(app, session, result);
  add_quantize(app, session, result);
  return run_app(app, argc, argv, session, result);
}
