#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants one fault at a time in a small tree: build-aux/tidy must name it."""

import os
import subprocess
import sys
import tempfile

TOP = os.environ.get("top_srcdir", ".")
SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
BODY = "int\nmat_a(int x)\n{\n%s}\n"

# Rule that must be reported (none: the file is clean), file, text.
SAMPLES = [
    (None, "lib/mat-a.c", SPDX + '#include "mat-a.h"\n#include <stdint.h>\n'
     + BODY % "    /* sprintf(), time() */\n    if (x) {\n        x++;\n"
     "    } else if (x\n               > 1) {\n        x--;\n    }\n"
     "    do {\n        x--;\n    } while (x);\n    return x;\n"),
    (None, "vswitchd-ext/matx-a.c", SPDX + '#include "mat-a.h"\n'
     '#include "dp-packet.h"\n'),
    (None, "boot.sh", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"),
    ("spdx", "lib/mat-a.c", "int x;\n"),
    ("line", "lib/mat-a.h", SPDX + "/* " + "x" * 80 + " */\n"),
    ("file", "ctl/matd.c", SPDX + "\n" * 800),
    ("function", "lib/mat-a.c", SPDX + BODY % ("    x++;\n" * 70)),
    ("tab", "lib/mat-a.c", SPDX + "int\tx;\n"),
    ("space", "lib/mat-a.c", SPDX + "int x; \n"),
    ("newline", "lib/mat-a.c", SPDX + "int x;"),
    ("mark", "lib/mat-a.c", SPDX + "/* TO" "DO: more. */\n"),
    ("prefix", "lib/csum.c", SPDX),
    ("prefix", "vswitchd-ext/mat-a.c", SPDX),
    ("brace", "lib/mat-a.c", SPDX + BODY % "    if (x)\n        x++;\n"),
    ("brace", "lib/mat-a.c", SPDX + BODY % "    for (;;)\n        x++;\n"),
    ("brace", "lib/mat-a.c", SPDX + BODY
     % "    if (x) {\n        x++;\n    } else\n        x--;\n"),
    ("banned", "ctl/matd.c", SPDX + BODY % "    sprintf(s, t);\n"),
    ("banned", "ctl/matd.c", SPDX + BODY % "    strcpy(s, t);\n"),
    ("banned", "tests/unit/test-a.c", SPDX + BODY % "    x = rand();\n"),
    ("banned", "lib/mat-a.c", SPDX + BODY % "    x = time(NULL);\n"),
    ("banned", "lib/mat-a.c", SPDX + BODY % '    printf("x");\n'),
    ("banned", "vswitchd-ext/matx-a.c", SPDX + BODY % "    assert(x);\n"),
    ("layer", "lib/mat-a.c", SPDX + '#include "dp-packet.h"\n'),
    ("layer", "lib/mat-a.c", SPDX + "#include <sys/socket.h>\n"),
    ("layer", "lib/mat-a.c", SPDX + '#include "matx-table.h"\n'),
    ("layer", "ctl/matd.c", SPDX + '#include "matx-table.h"\n'),
    ("layer", "tests/unit/test-a.c", SPDX + '#include "matx-table.h"\n'),
]


def main():
    for number, (rule, name, text) in enumerate(SAMPLES, 1):
        output, status = run_tidy(name, text)
        if rule:
            good = status == 1 and f"[{rule}]" in output
        else:
            good = status == 0
        if not good:
            print("# " + output.replace("\n", "\n# "))
        print(f"{'' if good else 'not '}ok {number} - {rule or 'clean'} "
              f"in {name}")
    print(f"{'' if impure_found() else 'not '}ok {len(SAMPLES) + 1} - symbol")
    print(f"1..{len(SAMPLES) + 1}")


def run_tidy(name, text):
    with tempfile.TemporaryDirectory() as top:
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        run = subprocess.run([sys.executable, f"{TOP}/build-aux/tidy", top],
                             capture_output=True, text=True)
        return run.stdout + run.stderr, run.returncode


def impure_found():
    """An object that calls socket() does not pass as lib/."""
    with tempfile.TemporaryDirectory() as top:
        source, thing = os.path.join(top, "a.c"), os.path.join(top, "a.o")
        with open(source, "w", encoding="utf-8") as f:
            f.write("int socket(int, int, int);\n"
                    "int mat_a(void) { return socket(1, 2, 3); }\n")
        subprocess.run([os.environ.get("CC", "cc"), "-c", source, "-o",
                        thing], check=True)
        run = subprocess.run([sys.executable, f"{TOP}/build-aux/tidy",
                              f"--libmat={thing}", top],
                             capture_output=True, text=True)
        return "needs socket" in run.stdout


main()
