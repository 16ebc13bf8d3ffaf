#compdef PROGRAM
# zsh completion for PROGRAM: PROGRAM itself says what can follow.
_PROGRAM() {
	local -a before options
	before=("${(@)words[1,CURRENT-1]}")
	[[ ${words[CURRENT]} == -* ]] && before+=("${words[CURRENT]}")
	options=("${(@f)$("${before[@]}" --generate-bash-completion 2>/dev/null)}")
	if [[ -n ${options[1]} ]]; then
		_describe value options
	else
		_files
	fi
}
if [[ ${funcstack[1]} == _PROGRAM ]]; then
	_PROGRAM "$@"
else
	compdef _PROGRAM PROGRAM
fi
