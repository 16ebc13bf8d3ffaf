// Package config turns the daemons' HCL files into plain structs, or into a
// list of all their faults, each with file, line and the offending text.
//
// The structs are raw: names of users are not looked up, secrets are not read,
// files are not opened. What can be told from the file alone has been checked
// when [LoadHSMD] or [LoadPKID] returns without an error; whoever builds
// something from a struct checks the rest and reports it with [Place.Errorf],
// in the same form.
//
// The comments of the fields are the manual: start at [HSMD] and [PKID]. A
// file whose name ends in ".json" is HCL's JSON form. In both forms "" and null
// mean "not set", and values are literals: there are neither variables nor
// functions.
//
// The package knows neither the protocol nor the keys, and nothing of it is
// needed to run a daemon but the structs.
package config
