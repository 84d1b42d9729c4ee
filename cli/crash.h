// A plugin that ends the process: at least it is named.
#pragma once

namespace precis::cli {

// From now on a crash, or an exit(), inside of a plugin's call ends the process with exit code 3
// after naming the plugin and the weight on standard error and, when `json` is true by then, the
// plugin in a JSON document on standard output. Once in a process; `json` lives to its end. Other
// crashes end it as ever.
void watch_crashes(const bool& json);

}  // namespace precis::cli
