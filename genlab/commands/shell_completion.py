"""genlab completion: commands, config groups, options and keys in the shell."""

import io
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

from genlab.commands.help import COMMANDS, HYDRA_COMMANDS
from genlab.config.folders import config_dir, config_folder
from genlab.config.overrides import groups, options
from genlab.errors import ConfigError, nearest

__all__ = ["SCRIPTS", "candidates", "query", "run"]

BASH = r"""
_genlab_complete() {
    local line="${COMP_LINE:0:COMP_POINT}" word choices
    word="${line##* }"
    choices=$(COMP_LINE="$line" genlab -sc query=bash 2>/dev/null)
    local IFS=$'\n'
    COMPREPLY=($(compgen -W "$choices" -- "$word"))
    # Readline replaces only what follows the last = or :, so only that is given.
    local cut="${word%"${word##*[=:]}"}"
    if [[ -n $cut && $COMP_WORDBREAKS == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"$cut"}")
    fi
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} != *[=./] ]] && compopt +o nospace
}
complete -o nospace -o default -F _genlab_complete genlab
"""
ZSH = r"""
_genlab() {
    local line="${(pj: :)words[1,CURRENT]}"
    local -a choices
    choices=("${(@f)$(COMP_LINE="$line" genlab -sc query=zsh 2>/dev/null)}")
    compadd -S '' -- $choices
}
compdef _genlab genlab
"""
FISH = r"""
function __genlab_complete
    set -lx COMP_LINE (commandline -cp)
    genlab -sc query=fish 2>/dev/null
end
complete -c genlab -f -a '(__genlab_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
FLAGS = ["--cfg", "--config-dir", "--debug", "--help", "--info", "--multirun", "--resolve"]


def run(argv: Sequence[str]) -> int:
    """Prints the script that a shell evaluates.

    Raises:
        ConfigError: The shell is not known.
    """
    shell = argv[0] if argv else "bash"
    if shell in ("-h", "--help"):
        print('usage: genlab completion bash|zsh|fish\n\neval "$(genlab completion bash)"')
        return 0
    if shell not in SCRIPTS:
        raise ConfigError(
            f"{shell}: no completion for it{nearest(shell, SCRIPTS)}; bash, zsh and fish have one"
        )
    print(SCRIPTS[shell])
    return 0


def query(argv: Sequence[str]) -> int:
    """Prints the completions of the line in COMP_LINE, one a line, for a shell."""
    if not argv or not argv[0].startswith("query="):
        return run([word.partition("=")[2] for word in argv if word.startswith("install=")])
    line = os.environ.get("COMP_LINE", "")
    words = line.split(" ")
    sys.stdout.write("".join(f"{text}\n" for text in candidates(words[1:])))
    return 0


def candidates(words: Sequence[str]) -> list[str]:
    """Completions of the last of the words after ``genlab``."""
    *before, word = words or [""]
    before = [text for text in before if text]
    if not before:
        return [name for name in COMMANDS if name.startswith(word)]
    command = before[0]
    if word.startswith("-"):
        return [flag for flag in FLAGS if flag.startswith(word)]
    own = config_folder(before)
    folders = [config_dir(), *([own] if own is not None and own.is_dir() else [])]
    if command in ("list", "show"):
        known = groups(folders)
        if command == "show":
            known = [f"{group}/{name}" for group in known for name in options(folders, group)]
        return [name for name in known if name.startswith(word)]
    if command == "completion":
        return [shell for shell in SCRIPTS if shell.startswith(word)]
    if command == "race" and "=" not in word:
        from genlab.commands.race import KEYS

        known = [*(f"{key}=" for key in ("data", *KEYS)), "resume", "status"]
        return [name for name in known if name.startswith(word)]
    if command not in (*HYDRA_COMMANDS, "race"):
        return []
    group, sign, name = word.lstrip("+").partition("=")
    if sign and group in groups(folders):  # answered from the file names, without Hydra
        *chosen, last = name.split(",")
        head = ",".join([*chosen, ""]) if chosen else ""
        return [f"{group}={head}{o}" for o in options(folders, group) if o.startswith(last)]
    return keys(command, before[1:], word)


def keys(command: str, before: Sequence[str], word: str) -> list[str]:
    """Groups and keys of the composed config, as Hydra's completion gives them.

    Raises:
        GenlabError: The line so far cannot be composed; shells show no error of a completion.
    """
    from genlab.launch.hydra_app import run
    from genlab.launch.hydra_patches import parse_arguments

    args = parse_arguments(before)
    flags = ["--config-dir", args.config_dir] if args.config_dir else []
    os.environ["COMP_LINE"] = " ".join(["genlab", *args.overrides, word])
    answer = io.StringIO()
    with redirect_stdout(answer):
        run(command, [*flags, "-sc", "query=fish"], sys.argv)  # one a line
    return [text for text in answer.getvalue().splitlines() if text]
