package api

var approleRoutes []route
